"""Deletes uploaded files that no run needs any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.ports import RunLedger
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import DatabaseError

log = logging.getLogger(__name__)

SWEEP_EVERY = 3600.0  # seconds between sweeps of the uploads folder


@dataclass(frozen=True, slots=True)
class UploadJanitor:
    """Sweeps the uploads folder. `active_runs` returns the runs of this process."""

    uploads: Uploads
    ledger: RunLedger
    active_runs: Callable[[], Iterable[ActiveRun]]

    async def work(self) -> None:
        """Sweeps at once, and then every SWEEP_EVERY seconds."""
        while True:
            try:
                await self.sweep()
            except DatabaseError as error:
                log.warning("The uploads folder is not swept now: %s", error.message)
            await asyncio.sleep(SWEEP_EVERY)

    async def sweep(self) -> None:
        """Sweeps once. Raises DatabaseError, and then deletes nothing: the ledger says which files are needed."""
        deleted = await self.uploads.sweep(self.ledger.find_known, self._needed)
        if deleted:
            log.info("Deleted %d files from the uploads folder", deleted)

    async def _needed(self, run_ids: Collection[str]) -> set[str]:
        """Returns those of the runs that are active here, or can be resumed."""
        resumable = await self.ledger.find_resumable(run_ids)
        return resumable | {run.id for run in self.active_runs()}
