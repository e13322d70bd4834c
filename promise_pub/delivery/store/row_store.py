"""The fates of the records of runs in PostgreSQL, a row for each piece of a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, answering, queries, translated
from promise_pub.delivery.input.row_chunks import ChunkPlace, RowChunk
from promise_pub.delivery.store.mails import LONG_TIMEOUT
from promise_pub.errors import RowsNotReady
from promise_pub.fates import RowGroup
from promise_pub.records import RunReport

_COLUMNS = (
    *("run_id", "line", "byte_offset", "number", "bytes", "checksum", "records", "held"),
    *("groups", "line_offsets", "repeats"),
)


class ChunkStore:
    """The store on a pool of connections. See `ports.RowStore` for its promises."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries("row_chunks")

    async def write_chunks(
        self, run_id: str, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        run = UUID(run_id)
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await self._replace_chunks(connection, run, chunks)
                await self._sql.write_groups(connection, run_id=run, row_groups=json.dumps(groups()))

    async def write_ended_run(
        self, report: RunReport, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        run = UUID(report.id)
        ended = {"state": report.state.value, "finished_at": report.finished_at}
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await self._sql.lock_rows(connection, run=report.id)
                if await self._sql.has_groups(connection, run_id=run):
                    return
                await self._replace_chunks(connection, run, chunks)
                row_groups = json.dumps(groups())
                # A resumed run that writes its own chunks waits for this transaction, and these must not outlast it.
                if not await self._sql.note_groups(connection, run_id=run, row_groups=row_groups, **ended):
                    raise RowsNotReady("The run was resumed meanwhile: its rows are listed once it has ended.")

    async def _replace_chunks(self, connection: Any, run: UUID, chunks: AsyncIterator[RowChunk]) -> None:
        async def records() -> AsyncIterator[tuple[Any, ...]]:
            async for chunk in chunks:
                yield (run, *_columns(chunk))

        await self._sql.lock_rows(connection, run=str(run))
        await self._sql.delete_chunks(connection, run_id=run)
        await connection.copy_records_to_table("row_chunks", records=records(), columns=_COLUMNS, timeout=LONG_TIMEOUT)

    async def find_chunks(self, run_id: str, groups: Collection[int], after: int, most: int) -> list[RowChunk]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            rows = self._sql.find_chunks(connection, run_id=UUID(run_id), groups=[*groups], after=after, most=most)
            return [_chunk(row) async for row in rows]

    async def find_chunk_at(self, run_id: str, line: int) -> RowChunk | None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.find_chunk_at(connection, run_id=UUID(run_id), line=line)
        return row and _chunk(row)


def _columns(chunk: RowChunk) -> tuple[Any, ...]:
    place = chunk.place
    held = sorted(chunk.counts())
    where = (place.line, place.offset, place.number, place.bytes, place.checksum)
    return (*where, chunk.records, held, chunk.groups, chunk.line_offsets, chunk.repeats)


def _chunk(row: asyncpg.Record) -> RowChunk:
    place = ChunkPlace(row["byte_offset"], row["line"], row["number"], row["bytes"], row["checksum"])
    return RowChunk(place, row["records"], row["groups"], row["line_offsets"], row["repeats"])
