"""A new run of the stored file of another, with the same parameters."""

from __future__ import annotations

from contextlib import aclosing

from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import NotRepeatable, ServerStopping, StoredFileError
from promise_pub.records import RunReport


async def rerun(runs: Runs, report: RunReport, started_by: str | None = None) -> ActiveRun:
    """Queues a new run of the stored file of another, however that one ended.

    The new run gets a copy, so that deleting one file leaves the other. Raises NotRepeatable when the file has changed,
    DiskFull, ServerBusy or DatabaseError; then nothing of the new run remains.
    """
    run_id = runs.admit()
    async with runs.uploads.receive(run_id) as upload:
        try:
            async with aclosing(runs.uploads.read(report.id, report.file)) as blocks:
                async for block in blocks:
                    if runs.stopping.is_set():  # a large file takes longer than a stop may
                        raise ServerStopping
                    await upload.write(block)
        except StoredFileError as error:
            raise NotRepeatable(f"The run cannot be repeated: {error.message}") from error
        stored = await upload.finish(report.file.name)
        return await runs.submit(run_id, stored, report.parameters, started_by)
