"""Visits in PostgreSQL when it is away, does not answer, or knows no visits: an error that says so, in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from promise_pub import db
from promise_pub.errors import DatabaseUnavailable, SchemaMissing
from promise_pub.features.visits import store
from promise_pub.features.visits.disk_quota import DiskQuota, Room
from promise_pub.features.visits.hit_buffer import FLUSH_EVERY, LAST_FLUSH, HitBuffer, HitCounts
from promise_pub.features.visits.hits import Hit
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.visits.fake_visits import a_hit
from tests.visits.walks import IDLE

NOW = datetime.now(UTC)
ONE = UUID(int=1)
QUOTA = DiskQuota(1024**3)


async def one_batch() -> AsyncIterator[Sequence[Hit]]:
    yield [a_hit(ONE)]


QUESTIONS: dict[str, Callable[[StoredVisits], Awaitable[Any]]] = {
    "check": lambda visits: visits.check_schema(),
    "add": lambda visits: visits.add_hits([a_hit(ONE)]),
    "last_hit": lambda visits: visits.get_last_hit(ONE),
    "sessions": lambda visits: visits.list_sessions(10),
    "session": lambda visits: visits.get_session(ONE),
    "transitions": lambda visits: visits.get_transitions(),
    "forget": lambda visits: visits.forget_session(ONE),
    "measure": lambda visits: visits.measure_disk(),
    "sweep_oldest": lambda visits: visits.delete_oldest_hits(10, 10),
    "sweep_oldest_unknown": lambda visits: visits.delete_oldest_unknown_hits(10, 10),
    "free": lambda visits: visits.free_deleted(),
    "import_hits": lambda visits: visits.import_hits(one_batch(), QUOTA),
}


class Severed(NamedTuple):
    """Visits whose way to the database can be cut and mended: it is another name of a folder."""

    visits: StoredVisits
    cut: Callable[[], Awaitable[Any]]
    mend: Callable[[], None]


END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def severed(database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Severed]:
    way = tmp_path / "d"  # a socket's path must not be long
    way.symlink_to(database.host)
    on_it = replace(database, host=str(way))
    async with db.open_pool(database) as pool, db.open_pool(on_it, max_size=1) as other:

        async def cut() -> None:
            way.unlink()
            await pool.execute(END_OTHERS)

        yield Severed(StoredVisits(other, IDLE), cut, lambda: way.symlink_to(database.host))


async def test_without_a_database_every_question_says_so(
    severed: Severed,
) -> None:
    visits, cut, mend = severed
    for ask in QUESTIONS.values():
        await visits.check_schema()
        await cut()
        for _ in "on a connection that was lost", "without any":
            with pytest.raises(DatabaseUnavailable):
                await ask(visits)
        mend()


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "check"])
async def test_without_an_answer_in_time_the_database_counts_as_away(
    database: DatabaseSettings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.open_pool(database) as pool, db.open_pool(database) as other:
        visits = StoredVisits(pool, IDLE)
        async with other.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE visit_hits, visit_forgotten")
            with monkeypatch.context() as impatient, pytest.raises(DatabaseUnavailable):
                for limit in ("ANSWER_TIMEOUT", "COUNT_TIMEOUT", "SWEEP_TIMEOUT", "LONG_TIMEOUT"):
                    impatient.setattr(store, limit, 0.2)
                async with asyncio.timeout(6):
                    await QUESTIONS[name](visits)
        assert await visits.get_last_hit(ONE) is None


@pytest.mark.parametrize("table", ["visit_hits", "visit_forgotten"])
async def test_a_scheme_from_before_is_noticed(database: DatabaseSettings, table: str) -> None:
    async with db.open_pool(database, max_size=1) as pool:
        visits = StoredVisits(pool, IDLE)
        await visits.check_schema()
        await pool.execute(f"DROP TABLE {table}")
        for asked in (visits.check_schema(), visits.add_hits([a_hit(ONE)])):
            with pytest.raises(SchemaMissing):
                await asked
        await db.apply_scheme(pool)
        await visits.check_schema()


@asynccontextmanager
async def by_way_of(database: DatabaseSettings, folder: Path) -> AsyncIterator[asyncio.Event]:
    """The database's socket once more, in a folder of its own; what it is asked waits unless the event is set."""
    passing, tasks = asyncio.Event(), set[asyncio.Task[None]]()
    passing.set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await passing.wait()
            writer.write(data)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        there, back = await asyncio.open_unix_connection(f"{database.host}/.s.PGSQL.{database.port}")
        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_unix_server(meet, folder / f".s.PGSQL.{database.port}")
    async with server:
        yield passing
        passing.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_with_a_database_that_hangs_the_end_comes_in_time(database: DatabaseSettings, tmp_path: Path) -> None:
    """A server has 10 seconds for it, and closes the connection of its locks too."""
    async with by_way_of(database, tmp_path) as passing:
        async with db.open_pool(replace(database, host=str(tmp_path))) as pool:
            visits = StoredVisits(pool, IDLE)
            async with HitBuffer(visits, Room(QUOTA), lambda _: None) as buffer:
                buffer.add(a_hit(ONE))
                await buffer.flush()
                passing.clear()
                buffer.add(a_hit(ONE))
                await asyncio.sleep(FLUSH_EVERY + 0.5)
                began = monotonic()
        assert monotonic() - began < LAST_FLUSH + db.CLOSE_TIMEOUT + 1
    assert buffer.counts == HitCounts(noted=2, written=1, lost=1)
