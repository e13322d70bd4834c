"""Works out the fates of all records of a file, in one pass over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

from promise_pub.delivery.evidence.claims import Claim
from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.evidence.row_map import Claimed, Known, RowMap
from promise_pub.delivery.input.chunks import FileChunk, in_order, read_chunks
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.row_chunks import ChunkBuilder, RowChunk
from promise_pub.delivery.ports import MailException, MailLookUp
from promise_pub.delivery.rows.plan import FatePlan
from promise_pub.fates import RowGroup
from promise_pub.records import StoredFile

_NONE: MailException = (1 << 62, InTable.UNSEEN, 0)  # after the last


class RowIndexer:
    """The pass over one file. `groups` are complete once all chunks were made."""

    def __init__(self, rows: RowMap, plan: FatePlan, look_up: MailLookUp | None = None) -> None:
        self._rows = rows
        self._plan = plan
        self._look_up = look_up
        self._counts: Counter[int] = Counter()

    @property
    def groups(self) -> tuple[RowGroup, ...]:
        """The run's groups, in the order of their places in chunks."""
        outcomes = enumerate(self._plan.outcomes)
        return tuple(RowGroup(outcome.fate, self._counts[place], outcome.reason) for place, outcome in outcomes)

    async def make_chunks(self, path: Path, dialect: Dialect, stored: StoredFile) -> AsyncGenerator[RowChunk]:
        """Yields the chunks of the file in its order. Raises StoredFileError where it is not the one that was sent."""
        exceptions = self._look_up.list_exceptions() if self._look_up else None
        async with aclosing(read_chunks(path, dialect, stored)) as pieces:
            exception = await _next(exceptions)
            async for piece in pieces:
                builder = self._begin(piece)
                while exception[0] < piece.batch.line:
                    self._set_exception(builder, exception)
                    exception = await _next(exceptions)
                chunk = builder.finish()
                self._counts += chunk.counts()
                yield chunk

    def _begin(self, piece: FileChunk) -> ChunkBuilder:
        """Returns the records of a piece with the groups of rows that are no exception."""
        batch = piece.batch
        lines = [line for line, _ in in_order(batch)] if batch.rejected else batch.lines
        builder = ChunkBuilder(piece.place, lines, {one.line for one in batch.rejected}, FatePlan.REJECTED)
        for part in self._rows.between(piece.place.number, builder.last_number):
            builder.set_rows(part.first, part.last, self._plan.group(part.known, self._usual(part.known)))
        return builder

    def _usual(self, known: Known) -> InTable:
        """Returns the place in employees of a row that is no exception."""
        looked_up = self._look_up and isinstance(known, Claimed) and known.claim is not Claim.MISSING
        return InTable.NEW if looked_up else InTable.UNSEEN

    def _set_exception(self, builder: ChunkBuilder, exception: MailException) -> None:
        line, table, first = exception
        at, number = builder.find(line)
        piece = next(self._rows.between(number, number))
        builder.set_record(at, self._plan.group(piece.known, table), first if table is InTable.REPEAT else None)


async def _next(exceptions: AsyncIterator[MailException] | None) -> MailException:
    """Returns the next exception, or what stands for their end. `anext` with a default fails where asyncpg awaits it."""
    try:
        return await anext(exceptions) if exceptions else _NONE
    except StopAsyncIteration:
        return _NONE
