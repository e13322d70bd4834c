"""Strangers and viewers who mean no good, in every way that tests/attacks.py knows: runs end kept, and who works is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from promise_pub import db
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from tests.attacks import TABS, Target
from tests.consumer_parts import ROOT
from tests.faults.checker import Rows
from tests.faults.conftest import Trial
from tests.faults.parts import PATIENCE
from tests.faults.world import FINAL, JSON, World
from tests.services import start_command

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTACKS_AT_ONCE = {
    "connections": ("silence", "slow_headers", "slow_logins"),
    "bodies": ("slow_uploads", "bombs", "floods"),
    "streams": ("streams", "slow_readers"),
    "tables": ("tables",),
    "hits and guesses": ("hits", "guesses"),
    "everything": (),
}
BEFORE = 2.0  # seconds of attack before the run goes on
LOOK_EVERY = 0.1  # seconds between two looks of an operator, each on a connection of its own
ANSWERED = 30.0  # seconds in which whatever is asked has its answer, however slow the machine is


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def target(everything: World) -> AsyncIterator[Target]:
    """The server with users; a viewer's token is in the wrong hands, an operator's in the world's."""
    await everything.heal()
    async with db.open_pool(everything.database.settings, max_size=1) as pool:
        accounts = StoredAccounts(pool)
        viewer, _ = await accounts.add_token("viewer", Role.VIEWER, 1)
        operator, _ = await accounts.add_token("operator", Role.OPERATOR, 1)
    everything.headers = {**JSON, "Authorization": f"Bearer {operator}"}
    await everything.reopen(auth="users")
    yield Target(URL(everything.url), viewer)
    everything.headers = dict(JSON)
    await everything.reopen()


async def works_on(world: World, run_id: str) -> Counter[int]:
    """Asks as an operator and as a load balancer do until the run has ended; the statuses of the answers."""
    statuses = Counter[int]()
    timeout = aiohttp.ClientTimeout(total=ANSWERED)
    state = ""
    while state not in FINAL:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(world.url, timeout=timeout, connector=connector) as http:
            async with http.get("/healthz") as answer:
                statuses[answer.status] += 1
            async with http.get(f"/runs/{run_id}", headers=world.headers) as answer:
                statuses[answer.status] += 1
                state = (await answer.json(content_type=None)).get("state", state)
        await asyncio.sleep(LOOK_EVERY)
    return statuses


@pytest.mark.parametrize("attack", ATTACKS_AT_ONCE)
async def test_a_run_under_attack(world: World, trial: type[Trial], target: Target, attack: str) -> None:
    """The run ends kept, and every answer to who works is the right one, whatever else is asked meanwhile."""
    rows = Rows(4000)
    table = await long_table(world) if attack == "tables" else ""
    run_id = await world.send_some(rows.csv(), mode="live", timeout=3, rate=1500)
    arguments = (world.url, target.token, table or run_id, *ATTACKS_AT_ONCE[attack])
    attacker = await start_command(arguments, {}, ROOT, ("-m", "tests.attacks"))
    try:
        await attacker.wait_for("^attacking on", PATIENCE)
        await asyncio.sleep(BEFORE)
        world.go_on()
        statuses = await works_on(world, run_id)
    finally:
        assert await attacker.stop() == 0, attacker.output
    # All of it at once, beside other tests on two processors, leaves some answers to be asked for again.
    least = 0.8 if attack == "everything" else 1.0
    assert statuses[200] >= least * statuses.total(), (statuses, world.server.output[-2000:])
    assert statuses.keys() <= {200, 503}, statuses
    await trial(world, f"attack: {attack}").ends_kept(run_id, rows)


async def long_table(world: World) -> str:
    """A run with many rejected records, of which each is hard to write as CSV."""
    rows = Rows(1)
    run_id = await world.send(rows.csv() + TABS * 5000, mode="batch", timeout=0)
    await world.concluded(run_id)
    return run_id
