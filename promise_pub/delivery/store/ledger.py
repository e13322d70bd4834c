"""Runs and rejected rows in PostgreSQL, and the counts of the employees table."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, COMMAND_TIMEOUT, answering, queries, translated
from promise_pub.db_checks import Need, require_columns, require_disk
from promise_pub.delivery.evidence.mail_sum import MailSum
from promise_pub.delivery.ports import MailLookUp, MailRow
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.delivery.store.mails import LONG_TIMEOUT, open_mail_look_up
from promise_pub.delivery.store.query import NEWEST_FIRST, RunSelection, Sort
from promise_pub.delivery.store.row_store import ChunkStore
from promise_pub.delivery.store.run_rows import columns_of, report_of
from promise_pub.delivery.telling import NO_NEWS, News, RunTelling
from promise_pub.errors import (
    DatabaseError,
    NotClearable,
    NotResumable,
    RunDeleted,
    RunNotFound,
    RunTaken,
    SchemaMissing,
)
from promise_pub.event_records import OutboxEvent, Told
from promise_pub.outbox import EVENTS, INSERT_EVENTS, Outbox
from promise_pub.parameters import RUN_PARAMETERS
from promise_pub.records import Fault, Rejected, RunReport, State
from promise_pub.text import storable

log = logging.getLogger(__name__)

NEEDS = (
    Need("runs", "SELECT INSERT UPDATE"),
    Need("rejected_rows", "SELECT INSERT"),
    Need("row_chunks", "SELECT INSERT DELETE"),
    Need("employees", "SELECT", ("id", "mail")),
    Need("outbox", "INSERT"),
)
LEFT_OVER = Fault("interrupted", "The server ended while the run was in progress.")
COUNT_TIMEOUT = 2.0  # seconds for a number that is only told; a million rows take a tenth
WRITE_TIMEOUT = 8.0  # seconds; a run's row takes a millisecond

_NEW_COLUMNS = (
    *("id", "state", *(parameter.name for parameter in RUN_PARAMETERS)),
    *("file_name", "file_bytes", "file_sha256", "created_at", "started_by", "server"),
)
"""The columns of a new run; the others have defaults."""

_SORT_KEYS = {
    Sort.STARTED: "created_at",
    Sort.FILE: 'file_folded COLLATE "C"',
    Sort.SENT: "confirmed",
    Sort.SECONDS: "total_seconds",
}


class Ledger:
    """The ledger on a pool of connections, as one server sees it. See `ports.RunLedger` for its promises.

    Without locks it can only be read.
    """

    def __init__(self, pool: asyncpg.Pool, locks: ServerLocks | None = None, outbox: Outbox | None = None) -> None:
        self.rows = ChunkStore(pool)
        self._pool = pool
        self._outbox = outbox or Outbox(pool)
        self._sql = queries(
            "ledger",
            new=", ".join(_NEW_COLUMNS),
            values=", ".join(f":{column}" for column in _NEW_COLUMNS),
            events=EVENTS,
            insert_events=INSERT_EVENTS,
        )
        self._pages = {
            (sort, descending): queries("run_pages", key=key, direction="DESC" if descending else "ASC").page
            for sort, key in _SORT_KEYS.items()
            for descending in (False, True)
        }
        self._locks = locks

    @property
    def _server(self) -> int:
        assert self._locks
        return self._locks.server

    async def check(self) -> None:
        """Raises SchemaMissing when `scheme.sql` of this version was not applied, DatabaseUnavailable without an answer,
        DatabaseError when the database cannot write to its disk."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await require_columns(connection, NEEDS)
            await require_disk(connection)

    async def take_over(self) -> list[str]:
        """Ends the runs of dead servers as interrupted, and tells it. Returns their ids, oldest first."""
        assert self._locks
        with translated():
            servers = [row["server"] async for row in self._sql.servers_with_runs(self._pool)]
        dead = [server for server in servers if await self._locks.is_dead(server)]
        end = {"at": datetime.now(UTC), "code": LEFT_OVER.code, "message": LEFT_OVER.message}
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                found = self._sql.hold_left_over(
                    connection, dead=[server for server in dead if server is not None], nobody=None in dead
                )
                rows = [row async for row in found]
                ids = [row["id"] for row in rows]
                await self._sql.interrupt(connection, ids=ids, **end, server=self._server)
                await self._tell_ended(
                    connection, rows, state=State.INTERRUPTED, finished_at=end["at"], error=LEFT_OVER
                )
        return [str(run_id) for run_id in ids]

    async def tell_untold(self, most: int) -> int:
        """Tells the ends of runs that were not told, the oldest first. Returns the number of runs, `most` at most;
        one whose record cannot be read counts, and is left out."""
        async with answering(self._pool, COMMAND_TIMEOUT) as connection, connection.transaction():
            rows = [row async for row in self._sql.hold_untold(connection, most=most)]
            unreadable = await self._tell_ended(connection, rows)
            # So that they are not found again.
            tolds = [json.dumps(asdict(Told(state=row["state"]))) for row in unreadable]
            ids = [row["id"] for row in unreadable]
            await self._sql.note_told(connection, ids=ids, tolds=tolds, **self._outbox.arguments(()))
        return len(rows)

    async def _tell_ended(
        self, connection: Any, rows: Sequence[asyncpg.Record], **end: Any
    ) -> Sequence[asyncpg.Record]:
        """Tells that runs have ended that are held by the transaction. Returns those whose record cannot be read, of which
        nothing is told."""
        told, unreadable = {}, []
        for row in rows if self._outbox.is_read else ():
            try:
                report = replace(report_of(row), **end)
            except DatabaseError as error:  # made by another version
                log.warning("The end of run %s is not told: %s", row["id"], error.message)
                unreadable.append(row)
            else:
                told[row["id"]] = RunTelling(report.told).tell(report)
        await self._sql.note_told(
            connection,
            ids=[*told],
            tolds=[_told(news) for news in told.values()],
            **self._outbox.arguments([event for news in told.values() for event in news.events]),
        )
        return unreadable

    def _news(self, news: News) -> dict[str, Any]:
        """Returns the parameters for what a statement tells besides."""
        return {"told": _told(news) if self._outbox.is_read else None, **self._outbox.arguments(news.events)}

    @asynccontextmanager
    async def exclusive_turn(self, lost: Callable[[], None]) -> AsyncIterator[None]:
        assert self._locks
        async with self._locks.exclusive_turn(lost):
            yield

    async def open_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        row = {
            "id": UUID(report.id),
            "state": report.state.value,
            **report.parameters.as_columns(),
            "file_name": report.file.name,
            "file_bytes": report.file.bytes,
            "file_sha256": report.file.sha256,
            "created_at": report.created_at,
            "started_by": report.started_by and storable(report.started_by),
            "server": self._server,
        }
        async with answering(self._pool, COMMAND_TIMEOUT) as connection:  # a whole upload would be lost
            await self._sql.open_run(connection, **row, **self._news(news))

    async def reopen_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            reopened = await self._sql.reopen_run(
                connection, id=UUID(report.id), server=self._server, number=report.told.number, **self._news(news)
            )
        if not reopened:
            raise NotResumable("The run is already in progress.")

    async def write_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        async with answering(self._pool, WRITE_TIMEOUT) as connection:
            written = await self._sql.write_run(
                connection, **columns_of(report), server=self._server, **self._news(news)
            )
        if not written:
            raise RunTaken if await self.find_known([report.id]) else RunDeleted

    async def find_known(self, run_ids: Collection[str]) -> set[str]:
        return await self._which(self._sql.known_runs, run_ids)

    async def find_resumable(self, run_ids: Collection[str]) -> set[str]:
        return await self._which(self._sql.resumable_runs, run_ids)

    async def _which(self, query: Any, run_ids: Collection[str]) -> set[str]:
        with translated():
            rows = query(self._pool, ids=[UUID(run_id) for run_id in run_ids])
            return {str(row["id"]) async for row in rows}

    async def add_rejects(self, run_id: str, rejected: Sequence[Rejected]) -> None:
        with translated():
            try:
                await self._sql.add_rejected(
                    self._pool,
                    run_id=UUID(run_id),
                    lines=[row.line for row in rejected],
                    reasons=[storable(row.reason) for row in rejected],
                    excerpts=[storable(row.excerpt) for row in rejected],
                )
            except asyncpg.ForeignKeyViolationError as error:
                raise RunDeleted from error

    async def list_rejects(self, run_id: str, most: int) -> list[Rejected]:
        """Returns the first rejected rows of a run."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            rows = self._sql.rejected_rows(connection, run_id=UUID(run_id), most=most)
            return [Rejected(row["line"], row["reason"], row["excerpt"]) async for row in rows]

    async def get_run(self, run_id: str) -> RunReport:
        """Returns a run as it was last written. Raises RunNotFound."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.run(connection, id=UUID(run_id))
        if row is None:
            raise RunNotFound(f"There is no run {run_id}.")
        return report_of(row)

    async def list_runs(
        self, most: int, skip: int = 0, which: RunSelection = NEWEST_FIRST
    ) -> tuple[list[RunReport], int]:
        """Returns a page of the runs that a query finds, in its order, and their number on all pages."""
        in_order = self._pages[which.sort, which.descending]
        wanted = _filters(which)

        async def read_page() -> list[RunReport]:
            async with answering(self._pool, ANSWER_TIMEOUT) as connection:
                return [report_of(row) async for row in in_order(connection, **wanted, most=most, skip=skip)]

        async def count() -> int:
            async with answering(self._pool, ANSWER_TIMEOUT) as connection:
                return int(await self._sql.count_runs(connection, **wanted))

        page, total = await asyncio.gather(read_page(), count())
        return page, total

    async def require_clearable(self) -> None:
        await self._can_truncate()

    async def _can_truncate(self) -> bool:
        """Returns True where TRUNCATE clears employees, which is quick, and False where DELETE does. Raises NotClearable."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            ways = await self._sql.ways_to_clear(connection)
        if ways is None:
            raise SchemaMissing
        if ways["truncates"] or ways["deletes"]:
            return bool(ways["truncates"])
        if ways["is_view"]:
            raise NotClearable("The view employees cannot be emptied: nothing can be deleted from it.")
        raise NotClearable(
            f"The role {ways['role']} may not empty the employees table. Grant it TRUNCATE or DELETE on the table."
        )

    async def clear_employees(self, tell: Callable[[int | None], OutboxEvent]) -> None:
        truncates = await self._can_truncate()
        with translated():
            try:
                rows = await self._count_soon() if truncates else None
                async with self._pool.acquire() as connection, connection.transaction():
                    if truncates:
                        await self._sql.truncate_employees(connection)
                    else:
                        done: str = await connection.execute(self._sql.delete_employees.sql, timeout=LONG_TIMEOUT)
                        rows = int(done.removeprefix("DELETE "))
                    await self._outbox.put_with(connection, tell(rows))
            except asyncpg.IntegrityConstraintViolationError as error:
                raise NotClearable(
                    f"The employees table cannot be emptied: rows of {error.table_name} refer to its rows."
                ) from error

    async def _count_soon(self) -> int | None:
        """Returns the number of employees, for an event; None where nobody reads it, or it would keep a run waiting."""
        if not self._outbox.is_read:
            return None
        with suppress(DatabaseError):
            async with answering(self._pool, COUNT_TIMEOUT) as connection:
                return int(await self._sql.count_employees(connection))
        return None

    async def count_employees(self) -> int:
        # A page that does not wait for it to the end leaves it, and takes a connection no longer.
        async with answering(self._pool, COMMAND_TIMEOUT) as connection:
            return int(await self._sql.count_employees(connection))

    async def highest_employee_id(self) -> int:
        with translated():
            return int(await self._sql.highest_employee_id(self._pool))

    async def sum_mails(self, after: int) -> MailSum:
        with translated():
            (summed,) = await self._pool.fetch(self._sql.sum_mails.sql, after, timeout=LONG_TIMEOUT)
        return MailSum(summed["rows"], int(summed["hashes"]))

    @asynccontextmanager
    async def look_up_mails(self, rows: AsyncIterator[MailRow]) -> AsyncIterator[MailLookUp]:
        async with open_mail_look_up(self._pool, rows) as look_up:
            yield look_up


def _told(news: News) -> str | None:
    return json.dumps(asdict(news.told)) if news.told else None


def _filters(which: RunSelection) -> dict[str, str | None]:
    return {
        "state": which.state and which.state.value,
        "verdict": which.verdict and which.verdict.value,
        "mode": which.mode and which.mode.value,
        "file": which.file,
    }
