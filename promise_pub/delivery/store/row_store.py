"""The fates of the records of runs in PostgreSQL, a row for each piece of a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from promise_pub.db import queries, translated
from promise_pub.delivery.input.row_chunks import ChunkPlace, RowChunk
from promise_pub.delivery.store.mails import LONG_TIMEOUT
from promise_pub.fates import RowGroup

_COLUMNS = (
    *("run_id", "line", "byte_offset", "number", "bytes", "checksum", "records", "held"),
    *("groups", "line_offsets", "repeats"),
)


class ChunkStore:
    """The store on a pool of connections. See `ports.RowStore` for its promises."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries("row_chunks")

    async def write_chunks(self, run_id: str, chunks: AsyncIterator[RowChunk]) -> None:
        run = UUID(run_id)

        async def records() -> AsyncIterator[tuple[Any, ...]]:
            async for chunk in chunks:
                yield (run, *_columns(chunk))

        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await self._sql.delete_chunks(connection, run_id=run)
                await connection.copy_records_to_table(
                    "row_chunks", records=records(), columns=_COLUMNS, timeout=LONG_TIMEOUT
                )

    async def find_chunks(self, run_id: str, groups: Collection[int], after: int, most: int) -> list[RowChunk]:
        with translated():
            rows = self._sql.find_chunks(self._pool, run_id=UUID(run_id), groups=[*groups], after=after, most=most)
            return [_chunk(row) async for row in rows]

    async def find_chunk_at(self, run_id: str, line: int) -> RowChunk | None:
        with translated():
            row = await self._sql.find_chunk_at(self._pool, run_id=UUID(run_id), line=line)
        return row and _chunk(row)

    async def note_groups(self, run_id: str, groups: Sequence[RowGroup]) -> None:
        with translated():
            await self._sql.note_groups(self._pool, run_id=UUID(run_id), row_groups=json.dumps(groups))


def _columns(chunk: RowChunk) -> tuple[Any, ...]:
    place = chunk.place
    held = sorted(chunk.counts())
    where = (place.line, place.offset, place.number, place.bytes, place.checksum)
    return (*where, chunk.records, held, chunk.groups, chunk.line_offsets, chunk.repeats)


def _chunk(row: asyncpg.Record) -> RowChunk:
    place = ChunkPlace(row["byte_offset"], row["line"], row["number"], row["bytes"], row["checksum"])
    return RowChunk(place, row["records"], row["groups"], row["line_offsets"], row["repeats"])
