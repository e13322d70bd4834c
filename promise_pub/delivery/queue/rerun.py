"""A new run of the stored file of another, or of some of its rows, with the same parameters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePath

from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.uploads import Upload
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.rows.reading import RowFilter, RowReader
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import NotRepeatable, ServerStopping, StoredFileError
from promise_pub.fates import Fate
from promise_pub.records import RunReport, StoredFile
from promise_pub.text import counted


async def rerun(runs: Runs, report: RunReport, started_by: str | None = None) -> ActiveRun:
    """Queues a new run of the stored file of another, however that one ended.

    The new run gets a name of the file of its own, or a copy where that cannot be, so that deleting one file leaves the
    other. Raises NotRepeatable when the file has changed, DiskFull, ServerBusy or DatabaseError; then nothing of the new
    run remains.
    """
    run_id = runs.admit()
    async with runs.uploads.receive(run_id) as upload:
        try:
            async with aclosing(_read(runs, report)) as blocks:
                async for _ in blocks:
                    pass
            stored = (
                report.file if await upload.link(runs.uploads.path(report.id)) else await _copy(runs, report, upload)
            )
        except StoredFileError as error:
            raise NotRepeatable(f"The run cannot be repeated: {error.message}") from error
        return await runs.submit(run_id, stored, report.parameters, started_by)


async def _copy(runs: Runs, report: RunReport, upload: Upload) -> StoredFile:
    async with aclosing(_read(runs, report)) as blocks:
        async for block in blocks:
            await upload.write(block)
    return await upload.finish(report.file.name)


async def _read(runs: Runs, report: RunReport) -> AsyncGenerator[bytes]:
    """Yields the file of a run as `Uploads.read` does. Raises ServerStopping: a large file takes longer than a stop may."""
    async with aclosing(runs.uploads.read(report.id, report.file)) as blocks:
        async for block in blocks:
            if runs.stopping.is_set():
                raise ServerStopping
            yield block


async def send_rows_again(
    runs: Runs, reader: RowReader, report: RunReport, fates: Collection[Fate], started_by: str | None = None
) -> ActiveRun:
    """Queues a new run of exactly the rows of another that have one of these fates.

    It has the other's parameters, but never empties the employees table: the rows that are not sent again are there.
    Raises RowsNotReady or RowsLost; NotRepeatable where there is no such row, or the file is gone or has changed; and as
    `rerun` does.
    """
    report = await reader.prepare(report)
    run_id = runs.admit()
    async with runs.uploads.receive(run_id) as upload:
        try:
            rows = await _write_rows(runs, reader, report, fates, upload)
        except StoredFileError as error:
            raise NotRepeatable(f"The rows cannot be sent again: {error.message}") from error
        if not rows:
            raise NotRepeatable(f"No row of this run is {' or '.join(sorted(fates))}: there is nothing to send again.")
        name = PurePath(report.file.name)
        stored = await upload.finish(f"{name.stem} ({counted(rows, 'row')} again){name.suffix}")
        return await runs.submit(run_id, stored, replace(report.parameters, clear=False), started_by)


async def _write_rows(runs: Runs, reader: RowReader, report: RunReport, fates: Collection[Fate], upload: Upload) -> int:
    """Writes the rows in the format of their file. Returns their number."""
    dialect = Dialect.of(report.parameters)

    def encode(lines: list[str]) -> bytes:
        return "".join(f"{line}\n" for line in lines).encode(dialect.encoding)

    # Neither a header in quotes nor a row after a blank line is taken for what only the beginning of a file can be, such
    # as a byte order mark, the line with which Excel names the delimiter, or an archive.
    await upload.write(encode([dialect.write(report.parameters.columns, quoted=True) if dialect.header else ""]))
    count = 0
    async with aclosing(reader.find(report, RowFilter(fates))) as pieces:
        async for found in pieces:
            if runs.stopping.is_set():
                raise ServerStopping
            if found.trouble:
                raise StoredFileError(found.trouble)
            rows = [dialect.write(row.values) for row in found.rows if row.values is not None]
            count += len(rows)
            await upload.write(encode(rows))
    return count
