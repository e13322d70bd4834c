"""Deletes uploaded files that no run needs any more."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import RunLedger
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError
from promise_pub.jobs import Job, Work
from promise_pub.schedules import Schedule
from promise_pub.text import counted

log = logging.getLogger(__name__)

SCHEDULE = Schedule("23 * * * *")


@dataclass(frozen=True, slots=True)
class UploadJanitor:
    """Sweeps the uploads folder. `active_runs` returns the runs of this process."""

    uploads: Uploads
    ledger: RunLedger
    active_runs: Callable[[], Iterable[ActiveRun]]

    async def sweep_at_start(self) -> None:
        """Sweeps what a crash may have left, whoever does it by the clock."""
        try:
            await self.sweep()
        except DatabaseError as error:
            log.warning("The uploads folder is not swept now: %s", error.message)

    async def sweep(self) -> int:
        """Sweeps once, and returns the number of files that it deleted.

        Raises DatabaseError, and then deletes nothing: the ledger says which files are needed.
        """
        deleted = await self.uploads.sweep(self.ledger.find_known, self._needed)
        if deleted:
            log.info("Deleted %d files from the uploads folder", deleted)
        return deleted

    def job(self) -> Job:
        """Returns the job that sweeps. Its name is that of the folder, which servers may have each or share."""
        folder = self.uploads.folder.resolve()
        of_folder = hashlib.sha256(f"{socket.gethostname()}:{folder}".encode(errors="surrogateescape")).hexdigest()
        return Job(
            name=f"uploads-{of_folder[:8]}",
            title=f"Deletes uploaded files that no run needs any more from {folder} on {socket.gethostname()}.",
            schedule=SCHEDULE,
            run=self._work,
        )

    async def _work(self, work: Work) -> None:
        deleted = await self.sweep()
        async with work.step() as step:
            await step.progress(deleted, deleted, f"Deleted {counted(deleted, 'file')}.")

    async def _needed(self, run_ids: Collection[str]) -> set[str]:
        """Returns those of the runs that are active here, or can be resumed."""
        resumable = await self.ledger.find_resumable(run_ids)
        return resumable | {run.id for run in self.active_runs()}
