"""Claims on a real database under strain: no lock is left behind by who is cancelled, cut off or not answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from promise_pub.db import open_pool
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ACQUIRE, ServerLocks
from promise_pub.errors import DatabaseRefused, DatabaseUnavailable, NotResumable
from promise_pub.parameters import Parameters
from promise_pub.records import RunReport, State, StoredFile
from promise_pub.retries import Backoff
from promise_pub.settings.model import DatabaseSettings
from tests.fakes import until

WITHIN = 30.0  # seconds; a test waits no longer for what comes at once
TESTS = {"application_name": "the tests"}


QUICK = replace(ACQUIRE, first=0.02, longest=0.02)


class Server:
    """A pool, locks and a ledger, as every server has them."""

    def __init__(self, pool: asyncpg.Pool, locks: ServerLocks) -> None:
        self.pool = pool
        self.locks = locks
        self.ledger = Ledger(pool, locks)
        self.lost = asyncio.Event()

    @property
    def backend(self) -> int:
        assert self.locks._backend
        return self.locks._backend[0]

    def turn(self) -> Any:
        return self.ledger.exclusive_turn(self.lost.set)

    async def has_no_turn(self) -> bool:
        """However often it tries."""
        try:
            async with asyncio.timeout(0.3), self.turn():
                return False
        except TimeoutError:
            return True


class Database:
    """Where servers are started, and die."""

    def __init__(self, settings: DatabaseSettings, stack: AsyncExitStack, own: Any) -> None:
        self._settings = settings
        self._stack = stack
        self.own = own  # a connection of the test's

    async def server(self, backoff: Backoff = QUICK) -> Server:
        return await self._stack.enter_async_context(self.short_lived(backoff))

    @asynccontextmanager
    async def short_lived(self, backoff: Backoff = QUICK) -> AsyncIterator[Server]:
        async with (
            open_pool(self._settings, max_size=3) as pool,
            ServerLocks(pool, backoff, look_every=0.02) as locks,
        ):
            yield Server(pool, locks)

    async def kill(self, pid: int) -> None:
        assert await self.own.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)

    async def locks(self) -> int:
        count: int = await self.own.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return count


@pytest.fixture
async def database_of_many(database: DatabaseSettings) -> AsyncIterator[Database]:
    own = await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.dbname,
        server_settings=TESTS,
        timeout=10,
    )
    async with AsyncExitStack() as stack:
        yield Database(database, stack, own)
    await own.close(timeout=5)


def report(**changes: Any) -> RunReport:
    run = RunReport(
        id=str(uuid4()),
        parameters=Parameters(),
        file=StoredFile("data.csv", 1, "abc"),
        created_at=datetime.now(UTC),
    )
    return replace(run, **changes)


async def test_a_connection_that_is_killed_is_made_anew_with_its_locks(
    database_of_many: Database,
) -> None:
    first, second = await database_of_many.server(), await database_of_many.server()
    async with first.turn():
        backend = first.backend
        await database_of_many.kill(backend)
        await until(lambda: first.locks._connection and first.backend != backend, WITHIN)
        assert await second.has_no_turn()
        assert not await second.locks.is_dead(first.locks.server)
        assert not first.lost.is_set()
    async with asyncio.timeout(WITHIN), second.turn():
        pass
    assert await database_of_many.locks() == 2  # the names of the two


async def test_who_is_cancelled_before_it_hears_of_its_lock_leaves_none(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await database_of_many.server(), await database_of_many.server()
    plain, taken = first.locks._sql.lock_turn, asyncio.Event()

    async def slow(connection: Any) -> None:
        await plain(connection)
        taken.set()
        await asyncio.Event().wait()

    async def take_the_turn() -> None:
        async with first.turn():
            raise AssertionError

    monkeypatch.setattr(first.locks._sql, "lock_turn", slow)
    waiting = asyncio.create_task(take_the_turn())
    await asyncio.wait_for(taken.wait(), WITHIN)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=WITHIN)
    async with asyncio.timeout(WITHIN), second.turn():
        pass


async def test_who_is_cancelled_while_it_gives_its_turn_back_leaves_no_lock(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await database_of_many.server(), await database_of_many.server()
    plain, asked = first.locks._sql.unlock_turn, asyncio.Event()

    async def slow(connection: Any) -> bool:
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return bool(await plain(connection))

    async def take_the_turn() -> None:
        async with first.turn():
            pass

    monkeypatch.setattr(first.locks._sql, "unlock_turn", slow)
    ending = asyncio.create_task(take_the_turn())
    await asyncio.wait_for(asked.wait(), WITHIN)
    ending.cancel()
    await asyncio.wait({ending}, timeout=WITHIN)
    async with asyncio.timeout(WITHIN), second.turn():
        pass


async def test_an_answer_that_never_came_leaves_no_lock(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database took the lock, and who asked gave up: the next try takes it once more."""
    first, second = await database_of_many.server(), await database_of_many.server()
    plain, asked = first.locks._sql.lock_turn, 0

    async def slow(connection: Any) -> bool:
        nonlocal asked
        asked += 1
        taken: bool = await plain(connection)
        if asked < 3:
            raise TimeoutError
        return taken

    monkeypatch.setattr(first.locks._sql, "lock_turn", slow)
    async with asyncio.timeout(WITHIN), first.turn():
        assert asked == 3 and await second.has_no_turn()
    async with asyncio.timeout(WITHIN), second.turn():
        pass


async def test_a_turn_that_ends_while_its_connection_is_made_anew_leaves_no_lock(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await database_of_many.server(), await database_of_many.server()
    plain = first.locks._sql.lock_turn
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: Any) -> bool:
        asked.set()
        await go_on.wait()
        return bool(await plain(connection))

    async with first.turn():
        monkeypatch.setattr(first.locks._sql, "lock_turn", slow)
        await database_of_many.kill(first.backend)
        await asyncio.wait_for(asked.wait(), WITHIN)
    go_on.set()
    await until(lambda: first.locks._connection, WITHIN)
    async with asyncio.timeout(WITHIN), second.turn():
        pass


async def test_a_database_that_stays_away_ends_the_waiting(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await database_of_many.server(replace(QUICK, within=0.1))

    async def away() -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(server.locks, "_connect", away)
    await database_of_many.kill(server.backend)
    with pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(WITHIN):
            while True:
                async with server.turn():
                    await asyncio.sleep(0.02)


async def test_a_database_that_refuses_ends_the_waiting_at_once_in_its_words(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await database_of_many.server()
    refused = asyncio.Event()

    async def refuse() -> None:
        refused.set()
        raise DatabaseRefused("The database refused: role is not permitted to log in")

    monkeypatch.setattr(server.locks, "_connect", refuse)
    await database_of_many.kill(server.backend)
    await asyncio.wait_for(refused.wait(), WITHIN)
    with pytest.raises(DatabaseRefused, match="not permitted to log in"):
        async with asyncio.timeout(QUICK.within / 2), server.turn():
            raise AssertionError("it has the turn")


async def test_a_fault_of_ours_that_comes_again_and_again_is_logged_once(
    database_of_many: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = await database_of_many.server()
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise ValueError

    monkeypatch.setattr(server.locks, "_connect", fail)
    await database_of_many.kill(server.backend)
    await until(lambda: tries > 5, WITHIN)
    assert caplog.text.count("could not be kept") == 1


@pytest.mark.parametrize("state", [state for state in State if state.final])
async def test_a_run_is_reopened_once_however_many_ask(database_of_many: Database, state: State) -> None:
    servers = [await database_of_many.server() for _ in range(3)]
    run = report()
    await servers[0].ledger.open_run(run)
    await servers[0].ledger.write_run(replace(run, state=state))
    outcomes = await asyncio.gather(*(server.ledger.reopen_run(run) for server in servers * 3), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, NotResumable)]
    assert len(outcomes) - len(refused) == (state is not State.COMPLETED)
    with pytest.raises(NotResumable):
        await servers[1].ledger.reopen_run(run)


async def test_the_files_of_runs_that_did_not_complete_are_needed(
    database_of_many: Database,
) -> None:
    server = await database_of_many.server()
    runs = [report(state=state) for state in State]
    for run in runs:
        await server.ledger.open_run(run)
        await server.ledger.write_run(run)
    ids = [run.id for run in runs]
    assert await server.ledger.find_known([*ids, str(uuid4())]) == {*ids}
    assert await server.ledger.find_resumable([*ids, str(uuid4())]) == {
        run.id for run in runs if run.state is not State.COMPLETED
    }
