"""The records of a run with their fates, found by fate, text and line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from promise_pub.concurrency import SharedWork
from promise_pub.delivery.evidence.row_map import LostRows, map_rows, map_unfinished
from promise_pub.delivery.input.chunks import Record, holds_text, read_records
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.row_chunks import Known, RowChunk
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import RunLedger
from promise_pub.delivery.rows.index import RowIndexer
from promise_pub.delivery.rows.plan import FatePlan
from promise_pub.errors import RowsLost, RowsNotReady, StoredFileError
from promise_pub.fates import LOST_FATES, Fate, count_in_need
from promise_pub.records import MAX_REJECTS, Rejected, Row, RunReport, State

READERS = 2  # pieces looked at at once, over all requests: with more, pages would wait for one another
TURN_PATIENCE = 2.0  # seconds; a page takes some hundredths, and may still have to wait for the database
BUILD_PATIENCE = 7.0  # seconds; the rows of five million take three
SLICE = 2_000  # records at once: some milliseconds
CHUNKS_AT_ONCE = 4  # chunks fetched from the store: half a MB each where every row is tiny and repeats another


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Records with one of these fates (all, where there are none) whose content holds this text, upper and lower case
    alike, on the lines after `after`."""

    fates: Collection[Fate] = ()
    text: str = ""
    after: int = 0


class RowFate(NamedTuple):
    """A record and what became of it.

    `number` and `values` are None for a record that is no row, and `content` is its start then. `values` and `content`
    are None as well where the file is gone or has changed. `repeats` is the line of the row whose mail it repeats.
    """

    line: int
    number: int | None
    fate: Fate
    reason: str
    repeats: int | None
    values: Sequence[str] | None
    content: str | None


class FoundRows(NamedTuple):
    """The records found in one piece of the file, which ends before the line `next_line`. `trouble` says why they have
    no content."""

    rows: list[RowFate]
    next_line: int
    trouble: str = ""


class RowReader:
    """Finds the records of runs. Any number of readers at once take turns, a piece of a file at a time."""

    def __init__(self, uploads: Uploads, ledger: RunLedger) -> None:
        self._uploads = uploads
        self._ledger = ledger
        self._page_turn = asyncio.Lock()
        self._turns = asyncio.Semaphore(READERS)
        self._building = asyncio.Lock()
        self._builds: dict[str, SharedWork[None]] = {}

    @asynccontextmanager
    async def take_page_turn(self) -> AsyncIterator[None]:
        """Lets pages of rows be made one at a time, so that many readers do not keep other pages waiting.

        Whoever has waited for `TURN_PATIENCE` goes on without a turn, so that no page waits for another that hangs.
        """
        taken = False
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_PATIENCE):
                taken = await self._page_turn.acquire()
        try:
            yield
        finally:
            if taken:
                self._page_turn.release()

    async def prepare(self, report: RunReport) -> RunReport:
        """Returns a run whose records can be read; works their fates out where that was not done at its end.

        Raises RowsNotReady while the run is in progress, or where working them out takes long; that goes on then. Raises
        RowsLost where the file was gone before.
        """
        if not report.state.final:
            raise RowsNotReady(f"The run is {report.state.value}: its rows are listed once it has ended.")
        if report.row_groups:
            return report
        build = self._builds.setdefault(report.id, SharedWork(partial(self._build_once, report.id)))
        try:
            async with asyncio.timeout(BUILD_PATIENCE):
                await build.result()
        except TimeoutError:
            raise RowsNotReady("The rows of the run are being listed. Try again in a moment.") from None
        return await self.prepare(await self._ledger.get_run(report.id))

    async def _build_once(self, run_id: str) -> None:
        try:
            async with self._building:
                report = await self._ledger.get_run(run_id)
                if not report.row_groups and report.state.final:
                    await self._build(report)
        finally:
            del self._builds[run_id]

    async def close(self) -> None:
        """Ends the work on runs that nobody has asked about before."""
        for build in [*self._builds.values()]:
            await build.close()

    async def _build(self, report: RunReport) -> None:
        lost, after = LostRows.of(report), report.resume_state.after
        through = sum(len(rows.up_to(after)) for rows in (lost.returned, lost.nacked))
        digest = report.digest if len(lost.returned) + len(lost.nacked) == through else None
        completed = report.state is State.COMPLETED
        rows = map_rows(report, lost, after, digest) if completed else map_unfinished(report)
        interrupted = report.state is State.INTERRUPTED
        indexer = RowIndexer(rows, FatePlan.without_look_up(rows, interrupted=interrupted))
        chunks = indexer.make_chunks(self._uploads.path(report.id), Dialect.of(report.parameters), report.file)
        try:
            await self._ledger.rows.write_ended_run(report, chunks, lambda: indexer.groups)
        except StoredFileError as error:
            raise RowsLost(f"{error.message.removesuffix('.')}, and its rows were not listed before.") from error
        finally:
            await chunks.aclose()

    async def find(self, report: RunReport, wanted: RowFilter, most: int | None = None) -> AsyncGenerator[FoundRows]:
        """Yields what is found, piece by piece, in the order of the file. `report` is one that `prepare` returned.

        With `most`, ends once as many rows were found; their piece may have given some more.

        Raises RowsLost where text is to be found and the file is gone or has changed, RowsNotReady where the run is resumed
        meanwhile.
        """
        groups = {at for at, one in enumerate(report.row_groups) if not wanted.fates or one.fate in wanted.fates}
        search = _Search(report, wanted, groups, self._uploads, self._ledger)
        first = await self._ledger.rows.find_chunk_at(report.id, wanted.after)
        chunks = [first] if first else []
        after = first.place.line if first else 0
        while True:
            await self._require_unchanged(report)
            for chunk in chunks:
                async with self._turns:
                    found = await search.look(chunk, most)
                    await asyncio.sleep(0)
                yield found
                if most is not None:
                    most -= len(found.rows)
                    if most <= 0:
                        return
                after = chunk.place.line
            chunks = await self._ledger.rows.find_chunks(report.id, groups, after, CHUNKS_AT_ONCE)
            if not chunks:
                return

    async def _require_unchanged(self, report: RunReport) -> None:
        """Raises RowsNotReady where chunks may be of another turn of the run than its groups in `report`.

        A run that is resumed loses its groups before it writes chunks, so those read before this check belong together.
        """
        if report.state is State.COMPLETED:
            return
        if (await self._ledger.get_run(report.id)).row_groups != report.row_groups:
            raise RowsNotReady("The run was resumed meanwhile: its rows are listed once it has ended.")

    async def find_first(self, report: RunReport, wanted: RowFilter, most: int) -> list[RowFate]:
        """Returns the first records that are found. Raises as `find` does."""
        rows: list[RowFate] = []
        async with aclosing(self.find(report, wanted, most)) as pieces:
            async for found in pieces:
                rows += found.rows[: most - len(rows)]
                if len(rows) == most:
                    break
        return rows

    async def find_first_in_need(self, report: RunReport, most: int) -> list[RowFate]:
        """Returns the first records that need somebody's attention: rows that were lost, then what is no row."""
        rows: list[RowFate] = []
        needed = count_in_need(report.fates).keys()
        for fates in (needed & {*LOST_FATES}, needed & {Fate.REJECTED}):
            if fates and len(rows) < most:
                rows += await self.find_first(report, RowFilter(fates), most - len(rows))
        return rows


class _Search:
    """One search: what is wanted of one run."""

    def __init__(
        self, report: RunReport, wanted: RowFilter, groups: set[int], uploads: Uploads, ledger: RunLedger
    ) -> None:
        self._report = report
        self._wanted = wanted
        self._groups = groups
        self._path = uploads.path(report.id)
        self._dialect = Dialect.of(report.parameters)
        self._ledger = ledger
        self._rejects: dict[int, Rejected] | None = None
        self._text = wanted.text.casefold()

    async def look(self, chunk: RowChunk, most: int | None) -> FoundRows:
        """Returns the records of a piece, or the first of them: `most` where no text is looked for, else some more."""
        places, end = chunk.find_places(self._groups, self._wanted.after), chunk.last_line + 1
        if not self._text:
            places = places[:most]
        if not places:
            return FoundRows([], end)
        try:
            if self._text and not await holds_text(self._path, self._dialect, chunk.place, self._text):
                return FoundRows([], end)
            records = await read_records(self._path, self._dialect, chunk, places[0], places[-1] + 1)
        except StoredFileError as error:
            if self._text:
                raise RowsLost(f"The rows cannot be searched for a text: {error.message}") from error
            return FoundRows([row async for row in self._list_without_content(chunk, places)], end, error.message)
        rows: list[RowFate] = []
        known = chunk.read_known(places, FatePlan.REJECTED)
        for start in range(0, len(places), SLICE):
            await asyncio.sleep(0)
            some = zip(places[start : start + SLICE], known, strict=False)
            found = (self._row_fate(one, records[at - places[0]]) for at, one in some)
            rows += [one for one in found if self._text in (one.content or "").casefold()]
            if most is not None and len(rows) >= most:
                break
        return FoundRows(rows, end)

    async def _list_without_content(self, chunk: RowChunk, places: Sequence[int]) -> AsyncGenerator[RowFate]:
        for at, one in enumerate(chunk.read_known(places, FatePlan.REJECTED)):
            if at % SLICE == 0:
                await asyncio.sleep(0)
            yield await self._without_content(one)

    def _row_fate(self, known: Known, record: Record) -> RowFate:
        _, judged = record
        fate, _, reason = self._report.row_groups[known.group]
        if isinstance(judged, Row):
            values = judged.fields
            return RowFate(known.line, known.number, fate, reason, known.repeats, values, self._dialect.write(values))
        return RowFate(known.line, None, fate, judged.reason, None, None, judged.excerpt)

    async def _without_content(self, known: Known) -> RowFate:
        fate, _, reason = self._report.row_groups[known.group]
        if known.number is None:
            if self._rejects is None:
                stored = await self._ledger.list_rejects(self._report.id, MAX_REJECTS)
                self._rejects = {one.line: one for one in stored}
            if one := self._rejects.get(known.line):
                return RowFate(known.line, None, fate, one.reason, None, None, one.excerpt)
        return RowFate(known.line, known.number, fate, reason, known.repeats, None, None)
