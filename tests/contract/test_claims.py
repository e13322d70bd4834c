"""Several servers on one real database: who is dead, whose run it is, and whose turn with the consumer."""

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

from promise_pub.config import DatabaseSettings
from promise_pub.db import open_pool
from promise_pub.delivery import claim as module
from promise_pub.delivery.claim import Claim
from promise_pub.delivery.ledger import Ledger
from promise_pub.errors import DatabaseUnavailable, NotResumable, RunTaken
from promise_pub.records import Parameters, RunReport, State, StoredFile
from tests.fakes import until

CONSUMER, ANOTHER = "127.0.0.1:1", "127.0.0.1:2"
WITHIN = 10.0  # seconds; a test waits no longer for what comes at once
TESTS = {"application_name": "the tests"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(module, "TURN_EVERY", 0.02)


class Server:
    """A pool, a claim and a ledger, as every server has them."""

    def __init__(self, pool: asyncpg.Pool, claim: Claim) -> None:
        self.pool = pool
        self.claim = claim
        self.ledger = Ledger(pool, claim)
        self.lost = asyncio.Event()

    @property
    def backend(self) -> int:
        assert self.claim._backend
        return self.claim._backend[0]

    def turn(self) -> Any:
        return self.ledger.turn(self.lost.set)

    async def has_its_turn(self) -> bool:
        try:
            async with asyncio.timeout(0.3), self.turn():
                return True
        except TimeoutError:
            return False


class Database:
    """Where servers are started, and die."""

    def __init__(self, settings: DatabaseSettings, stack: AsyncExitStack, own: Any) -> None:
        self._settings = settings
        self._stack = stack
        self.own = own  # a connection of the test's

    async def server(self, consumer: str = CONSUMER) -> Server:
        return await self._stack.enter_async_context(self.short_lived(consumer))

    @asynccontextmanager
    async def short_lived(self, consumer: str = CONSUMER) -> AsyncIterator[Server]:
        async with (
            open_pool(self._settings, max_size=3) as pool,
            Claim(pool, consumer) as claim,
        ):
            yield Server(pool, claim)

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


class TestTurn:
    async def test_one_server_at_a_time_talks_to_a_consumer(
        self, database_of_many: Database
    ) -> None:
        inside, most = 0, 0

        async def talk(server: Server) -> None:
            nonlocal inside, most
            for _ in range(3):
                async with server.turn():
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.01)
                    inside -= 1

        servers = [await database_of_many.server() for _ in range(3)]
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(*map(talk, servers))
        assert most == 1 and not any(server.lost.is_set() for server in servers)

    async def test_another_consumer_is_another_turn(self, database_of_many: Database) -> None:
        here, there = await database_of_many.server(), await database_of_many.server(ANOTHER)
        async with asyncio.timeout(WITHIN), here.turn(), there.turn():
            pass

    async def test_who_dies_in_its_turn_gives_it_up(self, database_of_many: Database) -> None:
        server = await database_of_many.server()
        async with database_of_many.short_lived() as dying:
            turn = dying.turn()
            await turn.__aenter__()
            assert not await server.has_its_turn()
        assert await server.has_its_turn()
        await turn.__aexit__(None, None, None)  # nothing is left to give back
        assert await server.has_its_turn()

    async def test_a_connection_that_is_killed_is_made_anew_with_its_locks(
        self, database_of_many: Database
    ) -> None:
        first, second = await database_of_many.server(), await database_of_many.server()
        async with first.turn():
            backend = first.backend
            await database_of_many.kill(backend)
            await until(lambda: first.backend != backend, WITHIN)
            assert not await second.has_its_turn()
            assert not await second.claim.is_dead(first.claim.server)
            assert not first.lost.is_set()
        assert await second.has_its_turn()
        assert await database_of_many.locks() == 2  # the names of the two

    async def test_a_turn_that_another_took_meanwhile_is_told(
        self, database_of_many: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = await database_of_many.server(), await database_of_many.server()
        async with first.turn():
            connect = first.claim._connect
            held = asyncio.Event()

            async def connect_late() -> None:
                await held.wait()
                await connect()

            monkeypatch.setattr(first.claim, "_connect", connect_late)
            await database_of_many.kill(first.backend)
            async with asyncio.timeout(WITHIN), second.turn():
                held.set()
                await first.lost.wait()
        assert not second.lost.is_set()
        await until(lambda: first.claim._connection, WITHIN)
        assert await first.has_its_turn() and await second.has_its_turn()

    @pytest.mark.parametrize("moment", range(0, 20, 2))
    async def test_who_is_cancelled_while_it_waits_leaves_no_lock(
        self, database_of_many: Database, moment: int
    ) -> None:
        first, second = await database_of_many.server(), await database_of_many.server()

        async def take_the_turn() -> None:
            async with first.turn():
                pass

        for turns in (moment, moment + 1):
            waiting = asyncio.create_task(take_the_turn())
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=WITHIN)
        async with asyncio.timeout(WITHIN), second.turn():
            pass

    async def test_an_answer_that_never_came_leaves_no_lock(
        self, database_of_many: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database took the lock, and who asked gave up: the next try takes it once more."""
        first, second = await database_of_many.server(), await database_of_many.server()
        plain, asked = first.claim._sql.lock_consumer, 0

        async def slow(connection: Any, **names: str) -> bool:
            nonlocal asked
            asked += 1
            taken: bool = await plain(connection, **names)
            if asked < 3:
                raise TimeoutError
            return taken

        monkeypatch.setattr(first.claim._sql, "lock_consumer", slow)
        async with asyncio.timeout(WITHIN), first.turn():
            assert asked == 3 and not await second.has_its_turn()
        async with asyncio.timeout(WITHIN), second.turn():
            pass

    async def test_a_turn_that_ends_while_its_connection_is_made_anew_leaves_no_lock(
        self, database_of_many: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = await database_of_many.server(), await database_of_many.server()
        plain = first.claim._sql.lock_consumer
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slow(connection: Any, **names: str) -> bool:
            asked.set()
            await go_on.wait()
            return bool(await plain(connection, **names))

        async with first.turn():
            monkeypatch.setattr(first.claim._sql, "lock_consumer", slow)
            await database_of_many.kill(first.backend)
            await asyncio.wait_for(asked.wait(), WITHIN)
        go_on.set()
        async with asyncio.timeout(WITHIN), second.turn():
            pass

    async def test_a_database_that_stays_away_ends_the_waiting(
        self, database_of_many: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "AWAY_PATIENCE", 0.1)
        server = await database_of_many.server()

        async def away() -> None:
            raise DatabaseUnavailable

        monkeypatch.setattr(server.claim, "_connect", away)
        await database_of_many.kill(server.backend)
        with pytest.raises(DatabaseUnavailable):
            async with asyncio.timeout(WITHIN):
                while True:
                    async with server.turn():
                        await asyncio.sleep(0.02)


class TestRuns:
    async def test_the_runs_of_a_living_server_are_left_alone(
        self, database_of_many: Database
    ) -> None:
        first, run = await database_of_many.server(), report()
        await first.ledger.open(run)
        second = await database_of_many.server()
        assert await second.ledger.take_over() == []
        assert await first.ledger.take_over() == []  # nor does it take its own for a dead one's
        assert (await first.ledger.run(run.id)).state is State.QUEUED

    async def test_those_of_a_dead_one_are_marked_oldest_first_and_taken_over_once(
        self, database_of_many: Database
    ) -> None:
        runs = [report(state=State.PUBLISHING), report(), report(state=State.COMPLETED)]
        async with database_of_many.short_lived() as dying:
            for run in runs:
                await dying.ledger.open(run)
                await dying.ledger.write(run)
        servers = [await database_of_many.server() for _ in range(3)]
        taken = await asyncio.gather(*(server.ledger.take_over() for server in servers))
        assert sorted(taken, key=len) == [[], [], [run.id for run in runs[:2]]]
        marked = await servers[0].ledger.run(runs[0].id)
        assert (marked.state, marked.error and marked.error.code) == (
            State.INTERRUPTED,
            "interrupted",
        )
        assert marked.finished_at and marked.resumable
        assert (await servers[0].ledger.run(runs[2].id)).state is State.COMPLETED

    async def test_one_whose_connection_was_killed_is_not_dead(
        self, database_of_many: Database
    ) -> None:
        first, second = await database_of_many.server(), await database_of_many.server()
        await first.ledger.open(report())
        backend = first.backend
        await database_of_many.kill(backend)
        await until(lambda: first.backend != backend, WITHIN)
        assert await second.ledger.take_over() == []

    async def test_runs_of_a_version_that_named_no_server_are_marked(
        self, database_of_many: Database
    ) -> None:
        server, run = await database_of_many.server(), report()
        await server.ledger.open(run)
        await database_of_many.own.execute("UPDATE runs SET server = NULL")
        assert await server.ledger.take_over() == [run.id]

    async def test_what_was_taken_cannot_be_written_by_who_had_it(
        self, database_of_many: Database
    ) -> None:
        first, run = await database_of_many.server(), report()
        await first.ledger.open(run)
        await first.ledger.write(replace(run, state=State.FAILED))
        second = await database_of_many.server()
        await second.ledger.reopen(run)
        with pytest.raises(RunTaken):
            await first.ledger.write(replace(run, state=State.COMPLETED))
        await second.ledger.write(replace(run, state=State.DRAINING))
        assert (await first.ledger.run(run.id)).state is State.DRAINING

    @pytest.mark.parametrize("state", [state for state in State if state.final])
    async def test_a_run_is_reopened_once_however_many_ask(
        self, database_of_many: Database, state: State
    ) -> None:
        servers = [await database_of_many.server() for _ in range(3)]
        run = report()
        await servers[0].ledger.open(run)
        await servers[0].ledger.write(replace(run, state=state))
        outcomes = await asyncio.gather(
            *(server.ledger.reopen(run) for server in servers * 3), return_exceptions=True
        )
        refused = [one for one in outcomes if isinstance(one, NotResumable)]
        assert len(outcomes) - len(refused) == (state is not State.COMPLETED)
        with pytest.raises(NotResumable):
            await servers[1].ledger.reopen(run)

    async def test_the_files_of_runs_that_did_not_complete_are_needed(
        self, database_of_many: Database
    ) -> None:
        server = await database_of_many.server()
        runs = [report(state=state) for state in State]
        for run in runs:
            await server.ledger.open(run)
            await server.ledger.write(run)
        ids = [run.id for run in runs]
        assert await server.ledger.known([*ids, str(uuid4())]) == {*ids}
        assert await server.ledger.resumable([*ids, str(uuid4())]) == {
            run.id for run in runs if run.state is not State.COMPLETED
        }
