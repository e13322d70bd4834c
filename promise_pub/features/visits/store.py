"""Page hits in PostgreSQL: written, counted, listed, forgotten."""

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
from promise_pub.db import answering, queries
from promise_pub.db_checks import Need, require_columns
from promise_pub.errors import DatabaseError
from promise_pub.features.visits.chains import Step, chains_of
from promise_pub.features.visits.errors import HitRefused, SessionNotFound
from promise_pub.features.visits.hits import Hit
from promise_pub.features.visits.report import SessionSummary, Transitions

NEEDS = (Need("visit_hits", "SELECT INSERT DELETE"), Need("visit_forgotten", "SELECT DELETE"))
NEEDS_TO_SHOW = (Need("visit_hits", "SELECT"),)
SQL = Path(__file__).parent / "visits.sql"
ANSWER_TIMEOUT = 8.0  # seconds for what takes milliseconds
COUNT_TIMEOUT = 60.0  # seconds for what goes over every hit: a million take one
LONG_TIMEOUT = 3600.0  # seconds for an import as a whole
MOST_HITS = 10_000  # of one session that are told
MOST_COUNTING = 2  # at a time: counts take seconds, and the pool's other connections are for runs and pages
MOST_PAGES = 200  # that are told by themselves: what is computed of them grows with their square, and more
OTHERS = "other pages"  # what all others are called, where there are more
MOST_STEPS = 20_000  # that so many pages come to, unless they go almost everywhere from everywhere

_CANNOT_BE_KEPT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a page that is too long for its index
)

_Made = TypeVar("_Made")


@dataclass(slots=True)
class Imported:
    """How many hits were given, how many of them were new, and how many are of sessions that are to be forgotten."""

    given: int = 0
    added: int = 0
    forgotten: int = 0


class StoredVisits:
    """The hits on a pool of connections. A session ends after `idle` without one.

    Every method raises DatabaseUnavailable where there is no answer, and other kinds of DatabaseError.
    """

    def __init__(self, pool: asyncpg.Pool, idle: timedelta) -> None:
        self._pool = pool
        self._idle = idle
        self._sql = queries(SQL)
        self._counting = asyncio.Semaphore(MOST_COUNTING)

    async def check(self) -> None:
        """Raises SchemaMissing where `scheme.sql` was applied before it had these tables, or never."""
        async with answering(self._pool, ANSWER_TIMEOUT):
            await require_columns(self._pool, NEEDS)

    async def add(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        async with answering(self._pool, ANSWER_TIMEOUT):
            row = await self._added(self._pool, hits)
        return [*row["forgotten"]]

    async def _added(self, connection: Any, hits: Sequence[Hit]) -> Any:
        with _told_what_was_refused():
            return await self._sql.add_hits(connection, **_columns(hits))

    async def last_hit(self, session: UUID) -> datetime | None:
        """When the session was here last; None: never."""
        async with answering(self._pool, ANSWER_TIMEOUT):
            found: datetime | None = await self._sql.last_hit(self._pool, session_id=session)
        return found

    async def sessions(
        self, most: int, skip: int = 0, since: datetime | None = None
    ) -> tuple[list[SessionSummary], int]:
        """Those with a hit since then, the newest hit first; and how many there are of them."""
        async with answering(self._pool, COUNT_TIMEOUT), self._counting:
            asked = self._sql.sessions(self._pool, since=since, most=most, skip=skip, ended_before=self._ended_before())
            rows = [row async for row in asked]
            total = rows[0]["total"] if rows else await self._count(since, skip)
        return [_summary(row) for row in rows], total

    async def _count(self, since: datetime | None, skip: int) -> int:
        """How many there are where a page lies behind the last."""
        if not skip:
            return 0
        return int(await self._sql.count_sessions(self._pool, since=since))

    async def session(self, session: UUID) -> tuple[SessionSummary, list[Hit]]:
        """A session and its hits in the order of time, MOST_HITS of them at most. Raises SessionNotFound."""
        async with answering(self._pool, COUNT_TIMEOUT):
            row = await self._sql.session(self._pool, session_id=session, ended_before=self._ended_before())
            if row is None:
                raise SessionNotFound(f"There is no session {session}.")
            found = self._sql.hits_cursor(self._pool, session_id=session, most=MOST_HITS)
            hits = await _all_of(found, _hit)
        return _summary(row), hits

    async def transitions(self, session: UUID | None = None, since: datetime | None = None) -> Transitions:
        """How a session, or all of them, went through the pages. Raises SessionNotFound.

        Where there are more than MOST_PAGES, those that were hit least are one, called OTHERS.
        """
        async with answering(self._pool, COUNT_TIMEOUT), self._counting:
            steps = await self._steps(session, since)
            if session and not steps:
                if await self._sql.last_hit(self._pool, session_id=session) is None:
                    raise SessionNotFound(f"There is no session {session}.")
        return Transitions(await asyncio.to_thread(chains_of, steps), session, since)

    async def _steps(self, session: UUID | None, since: datetime | None) -> list[Step]:
        of: dict[str, Any] = {
            "session_id": session,
            "since": since,
            "ended_before": self._ended_before(),
        }
        found = self._sql.steps_cursor(self._pool, **of, most=MOST_STEPS + 1)
        steps = await _all_of(found, _step)
        if len(steps) > MOST_STEPS or len({step.page for step in steps}) > MOST_PAGES:
            of |= {"pages": MOST_PAGES, "others": OTHERS}
            steps = await _all_of(self._sql.steps_of_most_hit_cursor(self._pool, **of), _step)
        return steps

    async def forget(self, session: UUID) -> int:
        """Deletes what there is of a session, here and in what servers hold of it yet; how many hits it was.

        Raises SessionNotFound.
        """
        async with answering(self._pool, COUNT_TIMEOUT), self._transaction() as connection:
            await self._sql.hold_writers(connection)
            hits = int(await self._sql.forget(connection, session_id=session))
        if not hits:
            raise SessionNotFound(f"There is no session {session}.")
        return hits

    async def sweep(self, before: datetime, most: int) -> int:
        async with answering(self._pool, COUNT_TIMEOUT):
            return int(await self._sql.sweep(self._pool, before=before, most=most))

    async def sweep_forgotten(self, before: datetime) -> None:
        async with answering(self._pool, ANSWER_TIMEOUT):
            await self._sql.sweep_forgotten(self._pool, before=before)

    async def import_hits(self, batches: AsyncIterator[Sequence[Hit]]) -> Imported:
        """Writes all of them or none. Raises what the batches raise."""
        imported = Imported()
        async with answering(self._pool, LONG_TIMEOUT), self._transaction() as connection:
            async for hits in batches:
                row = await self._added(connection, hits)
                known = {*row["forgotten"]}
                imported.given += len(hits)
                imported.added += row["added"]
                imported.forgotten += sum(hit.session_id in known for hit in hits)
        with suppress(DatabaseError):  # the hits are there; autovacuum comes to them by itself
            async with answering(self._pool, LONG_TIMEOUT):
                await self._sql.set_in_order(self._pool)
        return imported

    def _ended_before(self) -> datetime:
        return datetime.now(UTC) - self._idle

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection


@contextmanager
def _told_what_was_refused() -> Iterator[None]:
    """Tells a value that cannot be kept from a database that is in trouble."""
    try:
        yield
    except _CANNOT_BE_KEPT as error:
        raise HitRefused(f"A page hit cannot be kept: {type(error).__name__}") from error


async def _all_of(found: AbstractAsyncContextManager[Any], made: Callable[[asyncpg.Record], _Made]) -> list[_Made]:
    """What may be long is read, and taken apart, some rows at a time: nobody waits until all of it is."""
    async with found as cursor:
        return [made(row) async for row in cursor]


def _columns(hits: Sequence[Hit]) -> dict[str, list[Any]]:
    """The hits as arrays, by the names of the query's parameters."""
    return {
        "ids": [hit.id for hit in hits],
        "ats": [hit.at for hit in hits],
        "sessions": [hit.session_id for hit in hits],
        "pages": [hit.page for hit in hits],
        "paths": [hit.path for hit in hits],
        "methods": [hit.method for hit in hits],
        "statuses": [hit.status for hit in hits],
        "ips": [hit.ip for hit in hits],
        "ports": [hit.port for hit in hits],
        "user_agents": [hit.user_agent for hit in hits],
        "referrers": [hit.referrer for hit in hits],
        "headers": [hit.headers for hit in hits],
        "tooks": [hit.took_ms for hit in hits],
    }


def _step(row: asyncpg.Record) -> Step:
    return Step(**row)


def _hit(row: asyncpg.Record) -> Hit:
    return Hit(**{**row, "ip": _address(row["ip"]), "took_ms": _as_noted(row["took_ms"])})


def _as_noted(took: float | None) -> float | None:
    """REAL has seven digits: what comes after the microseconds is none of them."""
    return None if took is None else round(took, 3)


def _summary(row: asyncpg.Record) -> SessionSummary:
    names = ("session_id", "first", "last", "hits", "pages", "ended", "user_agent")
    return SessionSummary(ip=_address(row["ip"]), **{name: row[name] for name in names})


def _address(value: Address | IPv4Interface | IPv6Interface | None) -> Address | None:
    """asyncpg gives an interface where a mask was stored."""
    return value.ip if isinstance(value, IPv4Interface | IPv6Interface) else value
