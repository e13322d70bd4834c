"""Page hits in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from promise_pub.addresses import Address
from promise_pub.db import ANSWER_TIMEOUT, answering, queries, translated
from promise_pub.db_checks import Need, require_columns
from promise_pub.errors import DatabaseError
from promise_pub.features.visits.chains import Step, build_chains
from promise_pub.features.visits.disk_quota import DiskQuota, DiskUse
from promise_pub.features.visits.errors import HitRefused, ImportRefused, SessionNotFound
from promise_pub.features.visits.hits import HIT_COLUMNS, Hit
from promise_pub.features.visits.report import SessionSummary, Transitions

NEEDS = (Need("visit_hits", "SELECT INSERT DELETE"), Need("visit_forgotten", "SELECT DELETE"))
NEEDS_TO_SHOW = (Need("visit_hits", "SELECT"),)
SQL = Path(__file__).parent / "visits.sql"
COUNT_TIMEOUT = 8.0  # seconds for pages that read every hit; a million hits take one second
SWEEP_TIMEOUT = 60.0  # seconds for statements that delete many hits
LONG_TIMEOUT = 3600.0  # seconds for a whole import
SAMPLE = 64 * 1024**2  # bytes of hits that are weighed to measure all of them, in 0.1 s
MAX_HITS = 10_000  # of one session that are returned
MAX_COUNTING = 2  # counts at a time; they take seconds, and runs and pages need the pool's other connections
MAX_PAGES = 200  # with figures of their own; computing them takes more than quadratic time
OTHERS = "other pages"  # name of all further pages
MAX_STEPS = 20_000  # more than MAX_PAGES pages have, unless nearly every page leads to every other

# Bytes that a hit takes in the table and its indexes, estimated rather too high: 300 without its texts, since the index by
# sessions is in no order and so half full; it has the page as well. Long texts are stored in pieces that leave gaps.
_WEIGHT = """
(300 + 2 * pg_column_size(page)
 + 5 * (coalesce(pg_column_size(path), 0) + coalesce(pg_column_size(user_agent), 0)
        + coalesce(pg_column_size(referrer), 0) + pg_column_size(headers)) / 4)
"""

_CANNOT_BE_STORED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    # Raised for a page that is too long for its index.
    asyncpg.ProgramLimitExceededError,
)

_T = TypeVar("_T")


@dataclass(slots=True)
class Imported:
    """Numbers of hits: read, added because they were new, and left out because their session is forgotten."""

    given: int = 0
    added: int = 0
    forgotten: int = 0


class StoredVisits:
    """The stored hits. A session ends after `idle` without a hit.

    Every method raises DatabaseUnavailable when the database does not answer, and other kinds of DatabaseError.
    """

    def __init__(self, pool: asyncpg.Pool, idle: timedelta) -> None:
        self._pool = pool
        self._idle = idle
        self._sql = queries(SQL, weight=_WEIGHT)
        self._counting = asyncio.Semaphore(MAX_COUNTING)

    async def check_schema(self) -> None:
        """Raises SchemaMissing when the tables of visits are missing."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await require_columns(connection, NEEDS)

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._insert(connection, hits)
        return [*row["forgotten"]]

    async def _insert(self, connection: Any, hits: Sequence[Hit]) -> Any:
        with _refusing_hits():
            return await self._sql.add_hits(
                connection, **{name: [getattr(hit, name) for hit in hits] for name in HIT_COLUMNS}
            )

    async def get_last_hit(self, session: UUID) -> datetime | None:
        """Returns the time of the last hit, or None for an unknown session."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            found: datetime | None = await self._sql.last_hit(connection, session_id=session)
        return found

    async def list_sessions(
        self, limit: int, skip: int = 0, since: datetime | None = None
    ) -> tuple[list[SessionSummary], int]:
        """Returns up to `limit` sessions with a hit since then, the newest hit first, and the number of all such sessions."""
        async with self._count() as connection:
            found = self._sql.sessions(
                connection, since=since, most=limit, skip=skip, ended_before=self._ended_before()
            )
            rows = [row async for row in found]
            total = 0
            if rows:
                total = rows[0]["total"]
            elif skip:
                # The page is behind the last one.
                total = int(await self._sql.count_sessions(connection, since=since))
        return [_summary(row) for row in rows], total

    async def get_session(self, session: UUID) -> tuple[SessionSummary, list[Hit]]:
        """Returns a session and up to MAX_HITS of its hits in the order of time. Raises SessionNotFound."""
        async with answering(self._pool, COUNT_TIMEOUT) as connection:
            row = await self._sql.session(connection, session_id=session, ended_before=self._ended_before())
            if row is None:
                raise SessionNotFound(f"There is no session {session}.")
            found = self._sql.hits_cursor(connection, session_id=session, most=MAX_HITS)
            hits = await _fetch_all(found, _hit)
        return _summary(row), hits

    async def get_transitions(self, session: UUID | None = None, since: datetime | None = None) -> Transitions:
        """Returns the transitions of one session or of all. Raises SessionNotFound.

        When there are more than MAX_PAGES pages, the least hit ones are one page with the name OTHERS.
        """
        async with self._count() as connection:
            steps = await self._fetch_steps(connection, session, since)
            if session and not steps:
                if await self._sql.last_hit(connection, session_id=session) is None:
                    raise SessionNotFound(f"There is no session {session}.")
        return Transitions(await asyncio.to_thread(build_chains, steps), session, since)

    async def _fetch_steps(self, connection: Any, session: UUID | None, since: datetime | None) -> list[Step]:
        parameters: dict[str, Any] = {
            "session_id": session,
            "since": since,
            "ended_before": self._ended_before(),
        }
        found = self._sql.steps_cursor(connection, **parameters, most=MAX_STEPS + 1)
        steps = await _fetch_all(found, lambda row: Step(**row))
        if len(steps) > MAX_STEPS or len({step.page for step in steps}) > MAX_PAGES:
            parameters |= {"pages": MAX_PAGES, "others": OTHERS}
            steps = await _fetch_all(
                self._sql.steps_of_most_hit_cursor(connection, **parameters), lambda row: Step(**row)
            )
        return steps

    async def forget_session(self, session: UUID) -> int:
        """Deletes the hits of a session, and returns their number. Raises SessionNotFound.

        Servers write none of its hits that wait in their memory.
        """
        async with answering(self._pool, SWEEP_TIMEOUT) as connection, connection.transaction():
            await self._sql.hold_writers(connection)
            hits = int(await self._sql.forget(connection, session_id=session))
        if not hits:
            raise SessionNotFound(f"There is no session {session}.")
        return hits

    async def delete_old_hits(self, connection: Any, before: datetime, limit: int) -> int:
        return int(await self._sql.sweep(connection, before=before, most=limit))

    async def measure_disk(self) -> DiskUse:
        async with answering(self._pool, SWEEP_TIMEOUT) as connection:
            return DiskUse(**await self._sql.measure_disk(connection, sample=SAMPLE))

    async def delete_oldest_hits(self, excess: int, limit: int) -> int:
        async with answering(self._pool, SWEEP_TIMEOUT) as connection:
            return int(await self._sql.sweep_oldest(connection, excess=excess, most=limit))

    async def delete_oldest_unknown_hits(self, excess: int, limit: int) -> int:
        async with answering(self._pool, SWEEP_TIMEOUT) as connection:
            return int(await self._sql.sweep_oldest_unknown(connection, excess=excess, most=limit))

    async def free_deleted(self) -> None:
        async with answering(self._pool, LONG_TIMEOUT) as connection:
            await self._sql.be_gentle(connection)
            await connection.execute(self._sql.vacuum.sql, timeout=LONG_TIMEOUT)

    async def delete_old_forgotten(self, connection: Any, before: datetime) -> None:
        await self._sql.sweep_forgotten(connection, before=before)

    async def import_hits(self, batches: AsyncIterator[Sequence[Hit]], quota: DiskQuota) -> Imported:
        """Writes all hits or none. Raises ImportRefused when they would displace others, and any error of the batches."""
        imported = Imported()
        room = quota.room_for_import(await self.measure_disk())
        async with answering(self._pool, LONG_TIMEOUT) as connection, connection.transaction():
            async for hits in batches:
                row = await self._insert(connection, hits)
                room -= sum(hit.weight for hit in hits) * row["added"] // len(hits)
                if room < 0:
                    raise ImportRefused(
                        "nothing was imported: [visits] quota leaves no room on the disk for these hits"
                    )
                known = {*row["forgotten"]}
                imported.given += len(hits)
                imported.added += row["added"]
                imported.forgotten += sum(hit.session_id in known for hit in hits)
        # The hits are stored; if this fails, autovacuum does it later.
        with suppress(DatabaseError):
            async with answering(self._pool, LONG_TIMEOUT) as connection:
                await self._sql.set_in_order(connection)
        return imported

    def _ended_before(self) -> datetime:
        return datetime.now(UTC) - self._idle

    @asynccontextmanager
    async def _count(self) -> AsyncIterator[Any]:
        """Yields a connection when its turn comes. Turn and queries take COUNT_TIMEOUT together."""
        clock = asyncio.get_running_loop().time
        end = clock() + COUNT_TIMEOUT
        with translated():
            async with asyncio.timeout_at(end):
                await self._counting.acquire()
        try:
            async with answering(self._pool, end - clock()) as connection:
                yield connection
        finally:
            self._counting.release()


@contextmanager
def _refusing_hits() -> Iterator[None]:
    """Raises HitRefused for a value that cannot be stored, as opposed to a database in trouble."""
    try:
        yield
    except _CANNOT_BE_STORED as error:
        raise HitRefused(f"A page hit cannot be stored: {type(error).__name__}") from error


async def _fetch_all(found: AbstractAsyncContextManager[Any], convert: Callable[[asyncpg.Record], _T]) -> list[_T]:
    """Reads a long result and converts its rows in batches, so that the event loop is not blocked."""
    async with found as cursor:
        return [convert(row) async for row in cursor]


def _hit(row: asyncpg.Record) -> Hit:
    # REAL has seven digits, so only those up to the microseconds are right.
    took = None if row["took_ms"] is None else round(row["took_ms"], 3)
    return Hit(**{**row, "ip": _address(row["ip"]), "took_ms": took})


def _summary(row: asyncpg.Record) -> SessionSummary:
    names = ("session_id", "first", "last", "hits", "pages", "ended", "user_agent")
    return SessionSummary(ip=_address(row["ip"]), **{name: row[name] for name in names})


def _address(value: Address | IPv4Interface | IPv6Interface | None) -> Address | None:
    """Returns the address without the mask that may be stored with it, and that asyncpg returns as an interface."""
    return value.ip if isinstance(value, IPv4Interface | IPv6Interface) else value
