"""Several servers on one database: who is dead is never a guess, and nothing has two servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from promise_pub.db import apply_scheme, open_pool, scheme
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import NotResumable, RunDeleted, RunTaken, SchemaMissing
from promise_pub.parameters import Parameters
from promise_pub.records import Rejected, RunReport, State, StoredFile
from promise_pub.settings.model import DatabaseSettings
from tests.dead_servers import cut_off
from tests.services import execute

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


class Server:
    """A server's pool, locks and ledger."""

    def __init__(self, database: DatabaseSettings, pool: asyncpg.Pool, locks: ServerLocks) -> None:
        self._database = database
        self.pool = pool
        self.locks = locks
        self.ledger = Ledger(pool, locks)

    async def die(self) -> None:
        await cut_off(self._database, self.pool, self.locks)


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start(database: DatabaseSettings) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start() -> Server:
            pool = await stack.enter_async_context(open_pool(database, max_size=3))
            locks = await stack.enter_async_context(ServerLocks(pool))
            return Server(database, pool, locks)

        yield start


def report(state: State = State.QUEUED) -> RunReport:
    file = StoredFile("a.csv", 4, "0" * 64)
    return RunReport(str(uuid4()), Parameters(), file, NOW, state=state)


async def opened(server: Server, state: State = State.PUBLISHING) -> RunReport:
    run = report()
    await server.ledger.open_run(run)
    run = replace(run, state=state)
    await server.ledger.write_run(run)
    return run


async def until(question: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(30):
        while not await question():  # noqa: ASYNC110  what is waited for is in the database
            await asyncio.sleep(0.05)


async def test_what_a_dead_server_left_is_marked_and_the_next_ones(start: Start) -> None:
    first = await start()
    runs = [await opened(first, state) for state in (State.QUEUED, State.PUBLISHING)]
    done = await opened(first, State.COMPLETED)
    await first.die()
    second = await start()
    assert await second.ledger.take_over() == sorted(run.id for run in runs)  # of one moment
    assert await second.ledger.take_over() == []
    for run in runs:
        found = await second.ledger.get_run(run.id)
        assert (found.state, found.error and found.error.code) == (State.INTERRUPTED, "interrupted")
        await second.ledger.reopen_run(found)
    assert (await second.ledger.get_run(done.id)).state is State.COMPLETED


async def test_a_run_that_was_deleted_is_taken_by_nobody(start: Start) -> None:
    server = await start()
    run = await opened(server)
    await server.pool.execute("DELETE FROM runs")
    for write in (server.ledger.write_run(run), server.ledger.add_rejects(run.id, [Rejected(1, "why", "what")])):
        with pytest.raises(RunDeleted):
            await write


async def test_what_a_living_server_has_is_left_alone(start: Start) -> None:
    first, second = await start(), await start()
    run = await opened(first)
    assert await second.ledger.take_over() == []
    with pytest.raises(RunTaken):
        await second.ledger.write_run(run)
    with pytest.raises(NotResumable):
        await second.ledger.reopen_run(run)
    await first.ledger.write_run(run)


async def test_a_run_of_a_server_without_a_name_is_an_older_versions(start: Start) -> None:
    first = await start()
    run = await opened(first)
    await first.pool.execute("UPDATE runs SET server = NULL")
    assert await (await start()).ledger.take_over() == [run.id]


async def test_a_run_is_reopened_by_one_of_those_who_try(start: Start) -> None:
    servers = [await start() for _ in range(3)]
    run = await opened(servers[0], State.FAILED)
    outcomes = await asyncio.gather(*(server.ledger.reopen_run(run) for server in servers), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, NotResumable) for outcome in outcomes) == 2
    winner = servers[outcomes.index(None)]
    await winner.ledger.write_run(replace(run, state=State.PUBLISHING))
    for loser in servers:
        if loser is not winner:
            with pytest.raises(RunTaken):
                await loser.ledger.write_run(run)


async def test_one_server_at_a_time_has_the_turn(start: Start) -> None:
    servers = [await start() for _ in range(3)]
    inside: list[int] = []

    async def talk(number: int) -> None:
        async with servers[number].ledger.exclusive_turn(lambda: None):
            inside.append(number)
            assert len(inside) == 1
            await asyncio.sleep(0.1)
            inside.remove(number)

    await asyncio.wait_for(asyncio.gather(*map(talk, range(3))), 30)


async def test_a_turn_of_a_dead_server_is_over(start: Start) -> None:
    first, second = await start(), await start()

    async def hold() -> None:
        async with first.ledger.exclusive_turn(lambda: None):
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await until(lambda: held(second))
    await first.die()
    async with asyncio.timeout(30), second.ledger.exclusive_turn(lambda: None):
        pass
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def held(server: Server) -> bool:
    """Whether anybody has a turn."""
    found = await server.pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2")
    return bool(found)


async def test_claims_survive_their_connection(start: Start, database: DatabaseSettings) -> None:
    first, second = await start(), await start()
    run = await opened(first)
    lost: list[None] = []
    async with first.ledger.exclusive_turn(lambda: lost.append(None)):
        for _ in range(2):
            assert first.locks._backend
            pid, before = first.locks._backend[0], first.locks._backend
            await execute(database, f"SELECT pg_terminate_backend({pid})")
            await until(lambda before=before: changed(first, before))
            assert await second.locks.is_dead(first.locks.server) is False
            assert await second.ledger.take_over() == []
        trying = asyncio.create_task(take_turn(second))
        await asyncio.sleep(0.5)
        assert not trying.done() and not lost
        await first.ledger.write_run(run)
    await asyncio.wait_for(trying, 30)


async def changed(server: Server, before: Any) -> bool:
    return server.locks._connection is not None and server.locks._backend != before


async def take_turn(server: Server) -> None:
    async with server.ledger.exclusive_turn(lambda: None):
        pass


async def test_a_turn_that_another_took_meanwhile_is_told(start: Start, database: DatabaseSettings) -> None:
    first, second = await start(), await start()
    lost: list[None] = []
    plain = first.locks._connect

    async def too_late() -> None:
        """The other is quicker."""
        await taken.wait()
        await plain()

    taken = asyncio.Event()
    async with first.ledger.exclusive_turn(lambda: lost.append(None)):
        first.locks._connect = too_late  # type: ignore[method-assign]
        assert first.locks._backend
        await execute(database, f"SELECT pg_terminate_backend({first.locks._backend[0]})")
        async with asyncio.timeout(30), second.ledger.exclusive_turn(lambda: None):
            taken.set()
            await until(lambda: told(lost))


async def told(lost: list[None]) -> bool:
    return bool(lost)


LATER_COLUMNS = [
    column
    for added in re.findall(r"ALTER TABLE runs\b([^;]*);", scheme())
    for column in re.findall(r"ADD COLUMN IF NOT EXISTS (\w+)", added)
]


@pytest.mark.parametrize("column", LATER_COLUMNS)
async def test_tables_of_an_older_version_lack_something_and_gain_it(start: Start, column: str) -> None:
    server = await start()
    await server.pool.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    with pytest.raises(SchemaMissing, match="schema --apply"):
        await server.ledger.check()
    await apply_scheme(server.pool)
    await server.ledger.check()
    run = await opened(server)
    assert (await server.ledger.get_run(run.id)).state is State.PUBLISHING
