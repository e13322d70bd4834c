"""A run once more: the same file, the same settings, a run of its own."""

from __future__ import annotations

from contextlib import aclosing

from promise_pub.delivery.input.uploads import Upload
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import NotRepeatable, ServerStopping, StoredFileError
from promise_pub.records import RunReport


async def run_again(runs: Runs, report: RunReport) -> ActiveRun:
    """Queues a new run of the stored file of another, whatever became of that one.

    The new run has a copy, so that neither run's file goes with the other's. Raises NotRepeatable where the file is no
    longer what it was, DiskFull, ServerBusy or DatabaseError; then nothing of the new run stays.
    """
    run_id = runs.admit()
    async with runs.uploads.receive(run_id) as upload:
        try:
            await _copy(runs, report, upload)
        except StoredFileError as error:
            raise NotRepeatable(f"The run cannot be repeated: {error.message}") from error
        stored = await upload.finish(report.file.name)
        return await runs.submit(run_id, stored, report.parameters)


async def _copy(runs: Runs, report: RunReport, upload: Upload) -> None:
    async with aclosing(runs.uploads.read(report.id, report.file)) as blocks:
        async for block in blocks:
            if runs.stopping.is_set():  # a large file takes longer than a stop may
                raise ServerStopping
            await upload.write(block)
