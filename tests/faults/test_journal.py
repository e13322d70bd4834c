"""The journal while parts are killed, lines cut and stalled: every event once, numbered without holes, and told to the bus."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import psutil
import pytest
import pytest_asyncio

from promise_pub.features.journal.settings import BusSettings
from promise_pub.features.stats.settings import StatsSettings
from tests.faults.bus import (
    DENSE,
    Events,
    Listener,
    at_rest,
    listening,
    look_at_journal,
    publish,
)
from tests.faults.checker import Outcome, Rows
from tests.faults.conftest import RECORD, Trial
from tests.faults.parts import PATIENCE
from tests.faults.statistics import statistics_are_exact
from tests.faults.world import POLL, QUEUE, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = 20261130
STORM = 20_000  # events
KILLS, RELIABILITY_KILLS, SOAK_KILLS = 6, 40, 500
WEIGHTS = {"server": 5, "database": 3, "broker": 2}
PIECES = 10  # in which the events between two kills are published
OUTAGE, RELIABILITY_OUTAGE = 3.0, 60.0  # seconds
MAX_TAKEN = 1000  # messages of the bus that a server has in hand
LONG = 60_000  # bytes of a body that is nearly as long as any that is kept
_COMMITTED, _COMMIT = b"COMMIT\0", b"COMMIT;\0"  # PostgreSQL's answer, and what it is asked
_TELL = "INSERT INTO outbox (message_id, at, topic, body) VALUES ($1, now(), 'fault', '{}')"
_OWN = "SELECT message_id FROM journal_events WHERE source = 'own' ORDER BY seq"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server_with_bus(everything: World) -> AsyncIterator[None]:
    await everything.heal()
    await everything.reopen({"bus": BusSettings(enabled=True)})
    yield
    await everything.heal()
    await everything.reopen()


@pytest_asyncio.fixture(loop_scope="session")
async def bus(server_with_bus: None, world: World) -> World:
    """The world with a server that reads the bus. Its queue is empty, and all own events are on the bus."""
    await until_read(world)
    await at_rest(world)
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def bus_uncounted(bus: World) -> AsyncIterator[World]:
    """The same with a server that counts no statistics, which commit, too."""
    await bus.reopen({"bus": BusSettings(enabled=True), "stats": StatsSettings(keeper=False)})
    await until_read(bus)
    await at_rest(bus)
    yield bus
    await bus.heal()
    await bus.reopen({"bus": BusSettings(enabled=True)})


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    if request.config.getoption("soak"):
        return SOAK_KILLS
    return RELIABILITY_KILLS if request.config.getoption("reliability") else KILLS


@pytest.fixture
def outage(request: pytest.FixtureRequest) -> float:
    return RELIABILITY_OUTAGE if request.config.getoption("reliability") else OUTAGE


async def until_read(world: World, by: int = 1) -> None:
    """Waits until so many servers read the queue of the bus."""
    async with asyncio.timeout(PATIENCE):
        while (await world.broker.queues()).get(QUEUE) != by:  # noqa: ASYNC110  they are other processes
            await asyncio.sleep(POLL)


async def every_one_once(world: World, fault: str, events: Events) -> None:
    outcome = await look_at_journal(world, events)
    RECORD.add(fault, outcome)
    assert (outcome.lost, outcome.doubled) == (0, 0), (outcome, world.server.output)


async def own_events(world: World) -> Counter[str]:
    return Counter(row["message_id"] for row in await world.database.fetch(_OWN))


async def every_own_event_heard(world: World, fault: str, listener: Listener, before: Counter[str]) -> Counter[str]:
    """Returns how often each own event since then was heard: all of them were. None is in the journal twice."""
    await at_rest(world)
    own, heard = await own_events(world), await listener.heard()
    told = (own - before).keys()
    outcome = Outcome(len(told), len(told - heard.keys()), own.total() - len(own), 0, DENSE)
    RECORD.add(fault, outcome)
    assert (outcome.lost, outcome.doubled) == (0, 0) and heard.keys() <= told, (outcome, world.server.output)
    return heard


async def tell(world: World) -> str:
    """Tells an own event, as a transaction of promise-pub would; its id."""
    message_id = uuid4().hex
    await world.database.fetch(_TELL, message_id)
    return message_id


async def fates(url: str) -> dict[str, int]:
    """Returns what became of the messages that a server took from the bus."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        told = await answer.text()
    found = re.findall(r'^promise_pub_journal_bus_events_total\{fate="(\w+)"\} (\S+)$', told, re.MULTILINE)
    return {fate: int(float(count)) for fate, count in found}


async def until_logged(world: World, text: str, start: int) -> None:
    """Waits until the server has logged a text, after so many characters."""
    async with asyncio.timeout(PATIENCE):
        while text not in world.server.output[start:]:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(POLL)


async def until_ready(world: World) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await world.ask("GET", "/readyz"))[0] != 200:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(POLL)


@pytest.mark.timeout(7200)
async def test_a_storm_of_kills(bus: World, trial: type[Trial], kills: int) -> None:
    """The same moments each time, counted in events; a longer storm is another one."""
    chance = random.Random(SEED)
    events = Events(STORM, chance=chance)
    before = await own_events(bus)
    runs: dict[str, Rows] = {}
    async with listening(bus) as listener:
        for ids in events.split(kills):
            await until_ready(bus)
            rows = Rows(200)
            runs[await bus.send(rows.csv(), mode=chance.choice(["live", "batch"]), timeout=0)] = rows
            sending = asyncio.create_task(publish(bus, events, ids, piece=len(ids) // PIECES + 1, pause=0.1))
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            (part,) = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
            await bus.restart(part)
            await sending
        for run_id, rows in runs.items():
            await trial(bus, "storm of kill -9, runs").ends_kept(run_id, rows)
        await every_one_once(bus, "storm of kill -9, events of the bus", events)
        await every_own_event_heard(bus, "storm of kill -9, own events", listener, before)
        await statistics_are_exact(bus)


@pytest.mark.parametrize("killed", [False, True], ids=["cut", "killed"])
async def test_a_commit_whose_messages_are_not_acknowledged(bus_uncounted: World, killed: bool) -> None:
    """They come again, and are known."""
    bus = bus_uncounted
    events = Events(500)
    line = bus.lines["server-database"]
    line.stall_at = _COMMITTED
    await publish(bus, events, events.sent)
    await line.until(lambda: line.held > 0)
    if killed:
        await bus.kill("server")
        line.flow()
        await bus.server.start()
    else:
        bus.lines["server-broker"].cut()
        line.flow()
    await every_one_once(bus, "events committed, not acknowledged", events)
    assert (await fates(bus.url))["known"] > len(events.sent) - len(events.at)


@pytest.mark.parametrize("stalled_at", [_COMMIT, _COMMITTED], ids=["not committed", "committed"])
async def test_a_server_that_is_killed_between_the_outbox_and_the_journal(
    bus_uncounted: World, stalled_at: bytes
) -> None:
    bus = bus_uncounted
    before = await own_events(bus)
    line = bus.lines["server-database"]
    async with listening(bus) as listener:
        line.stall_at = stalled_at
        message_id = await tell(bus)
        await line.until(lambda: line.held > 0)
        await bus.kill("server")
        line.cut()
        line.flow()
        assert (message_id in await own_events(bus)) is (stalled_at == _COMMITTED)
        await bus.server.start()
        heard = await every_own_event_heard(bus, "own event between outbox and journal", listener, before)
    assert heard[message_id] == 1


async def test_a_server_that_is_killed_before_it_notes_what_it_published(bus_uncounted: World) -> None:
    """The event is on the bus again, and in the journal once."""
    bus = bus_uncounted
    before = await own_events(bus)
    broker, database = bus.lines["server-broker"], bus.lines["server-database"]
    async with listening(bus) as listener:
        message_id = await tell(bus)
        broker.stall_at = message_id.encode()
        await broker.until(lambda: broker.held > 0)
        database.stall()
        broker.flow()
        await listener.until_heard(message_id)
        await bus.kill("server")
        database.cut()
        database.flow()
        await bus.server.start()
        heard = await every_own_event_heard(bus, "own event published, not noted", listener, before)
    assert heard[message_id] == 2


async def test_two_servers_tell_each_event_once_and_one_goes_on_alone(bus: World, trial: type[Trial]) -> None:
    events = Events(6000)
    first, last = events.split(2)
    before = await own_events(bus)
    async with listening(bus) as listener, bus.second_server() as (second, url):
        await until_read(bus, by=2)
        runs = {
            await bus.send(rows.csv(), server, timeout=1): rows for server in (bus.url, url) for rows in [Rows(300)]
        }
        await publish(bus, events, first)
        for run_id, rows in runs.items():
            await trial(bus, "two servers, runs").ends_kept(run_id, rows)
        # Both look meanwhile.
        bus.lines["server-broker"].delay = 0.5
        for _ in range(3):
            await tell(bus)
            await at_rest(bus)
        bus.lines["server-broker"].delay = 0.0
        heard = await every_own_event_heard(bus, "two servers, own events", listener, before)
        assert max(heard.values()) == 1
        assert (await fates(bus.url))["added"] and (await fates(url))["added"]
        sending = asyncio.create_task(publish(bus, events, last, piece=len(last) // PIECES, pause=0.1))
        rows = Rows(2000)
        run_id = await bus.send(rows.csv(), url, timeout=1, rate=1500)
        await bus.until(run_id, lambda run: run["rows"]["confirmed"] > 0)
        await second.kill()
        await sending
        await every_one_once(bus, "two servers, one killed, events of the bus", events)
        message_id = await tell(bus)
        await every_own_event_heard(bus, "two servers, one killed, own events", listener, before)
        assert (await listener.heard())[message_id] == 1
    # At its start the server takes over the run.
    await bus.restart("server")
    await trial(bus, "two servers, one killed, run taken over").ends_kept(run_id, rows)
    await statistics_are_exact(bus)


async def test_a_database_that_is_away_while_the_bus_is_busy(bus: World, outage: float) -> None:
    """Nothing is acknowledged, and no more is in hand than may be."""
    events = Events(2000, LONG)
    assert bus.server.command
    logged = len(bus.server.output)
    memory = psutil.Process(bus.server.command.pid).memory_info
    before = memory().rss
    await bus.kill("database")
    await publish(bus, events, events.sent, pause=outage / len(events.sent) * 100)
    counted = {which: (await bus.broker.messages(which))[QUEUE] for which in ("messages", "messages_unacknowledged")}
    assert counted == {"messages": len(events.sent), "messages_unacknowledged": MAX_TAKEN}
    assert memory().rss - before < 1.5 * MAX_TAKEN * LONG
    await bus.database.start()
    await every_one_once(bus, "database away while the bus is busy", events)
    for text in ("Events of the bus wait", "Events of the bus are appended again"):
        assert bus.server.output[logged:].count(text) == 1, bus.server.output


async def test_a_broker_that_is_away_is_logged_once(bus: World, outage: float) -> None:
    events = Events(500)
    before, logged = await own_events(bus), len(bus.server.output)
    async with listening(bus) as listener:
        await bus.kill("broker")
        message_id = await tell(bus)
        await asyncio.sleep(outage)
        await bus.broker.start()
        await publish(bus, events, events.sent)
        await every_one_once(bus, "broker away, events of the bus", events)
        heard = await every_own_event_heard(bus, "broker away, own events", listener, before)
        assert heard[message_id] >= 1
    for text in (
        "The bus cannot be read",
        "Own events are not published",
        "Own events are published again",
        "The bus is read again",
    ):
        await until_logged(bus, text, logged)
        assert bus.server.output[logged:].count(text) == 1, bus.server.output
