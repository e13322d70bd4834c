"""Hashes of the records in stored files, made when somebody asks for a run's report."""

from __future__ import annotations

import asyncio

from promise_pub.delivery.evidence.blocks import Blocks
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.verification.reread import hash_blocks
from promise_pub.errors import TooManyWaiting
from promise_pub.records import RunReport

MAX_KEPT = 32  # runs whose hashes are kept: 300 KB each at most
MAX_WAITING = 20  # requests that wait for one file to be read


class StoredBlocks:
    """The hashes of this process, one file at a time: reading 5,000,000 rows takes half a minute beside a run."""

    def __init__(self) -> None:
        self._known: dict[str, Blocks] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def fetch(self, uploads: Uploads, run: RunReport) -> Blocks:
        """Returns the hashes of a completed run's file.

        Raises StoredFileError when it is gone or has changed, TooManyWaiting when too many wait.
        """
        if run.id not in self._known:
            if self._waiting >= MAX_WAITING:
                raise TooManyWaiting(f"{self._waiting} reports are being made: try again later.")
            self._waiting += 1
            try:
                async with self._turn:
                    await self._make(uploads, run)
            finally:
                self._waiting -= 1
        return self._known[run.id]

    async def _make(self, uploads: Uploads, run: RunReport) -> None:
        if run.id in self._known:
            return
        await uploads.verify(run.id, run.file)
        self._known[run.id] = await hash_blocks(uploads.path(run.id), run)
        if len(self._known) > MAX_KEPT:
            del self._known[next(iter(self._known))]
