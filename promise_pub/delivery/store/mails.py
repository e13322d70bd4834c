"""The mails of a file beside the table employees, compared by the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from promise_pub.db import queries, translated
from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.ports import MailException, MailRow
from promise_pub.records import Repeats

LONG_TIMEOUT = 3600.0  # seconds; comparing hundreds of millions of rows sorts them on disk
_FETCHED = 1_000  # rows at once: about two milliseconds of the event loop


@asynccontextmanager
async def open_mail_look_up(pool: asyncpg.Pool, rows: AsyncIterator[MailRow]) -> AsyncIterator[DatabaseLookUp]:
    """Copies the mails to a table that is gone with the block. See `ports.RunLedger.look_up_mails`."""
    named = queries("mails")
    async with AsyncExitStack() as stack:
        with translated():
            connection = await stack.enter_async_context(pool.acquire())
            await stack.enter_async_context(connection.transaction())
            await named.create_run_mails(connection)
            await connection.copy_records_to_table("run_mails", records=rows, timeout=LONG_TIMEOUT)
            await connection.execute(named.analyze_run_mails.sql, timeout=LONG_TIMEOUT)
        yield DatabaseLookUp(connection, named)


class DatabaseLookUp:
    """The comparison on one connection, within its transaction. See `ports.MailLookUp` for its promises."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, named: Any) -> None:
        self._connection = connection
        self._sql = named

    async def count_repeats(self, highest_before: int) -> Repeats:
        with translated():
            (counted,) = await self._fetch(self._sql.count_repeats.sql, highest_before)
        return Repeats(**counted)

    async def count_cells(self, held_up_to: int) -> Mapping[tuple[int, InTable], int]:
        with translated():
            await self._connection.execute(self._sql.compare_rows.sql, held_up_to, timeout=LONG_TIMEOUT)
            rows = await self._fetch(self._sql.count_cells.sql)
        return {(row["cell"], InTable(row["shown"])): row["rows"] for row in rows}

    async def list_exceptions(self) -> AsyncIterator[MailException]:
        cursor = self._connection.cursor(self._sql.list_exceptions.sql, prefetch=_FETCHED, timeout=LONG_TIMEOUT)
        with translated():
            async for line, shown, first in cursor:
                yield line, InTable(shown), first

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        return await self._connection.fetch(query, *arguments, timeout=LONG_TIMEOUT)
