"""Deletes page hits beyond the quota of the disk, in batches, as soon as they come fast."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.features.visits.disk_quota import DiskUse, Room
from promise_pub.logs import fields

log = logging.getLogger(__name__)

SWEEP_EVERY = 6 * 3600.0  # seconds, unless hits come fast
SWEEP_PAUSE = 10.0  # seconds between two sweeps, however fast hits come: runs need the database more
SWEEP_RETRY = 60.0  # seconds after a sweep that failed
LAST_SWEEP = 1.0  # seconds to end the statement that is under way
SWEEP_BATCH = 10_000  # hits per statement, between which others can write


class SweptStorage(Protocol):
    """Storage of hits that is swept. Every method may raise a DatabaseError."""

    async def measure_disk(self) -> DiskUse:
        """Returns the disk that hits take, in a time that does not grow with their number."""

    async def delete_oldest_hits(self, excess: int, limit: int) -> int:
        """Deletes the oldest hits, up to `limit` and `excess` bytes of them, and returns their bytes."""

    async def delete_oldest_unknown_hits(self, excess: int, limit: int) -> int:
        """Does the same with hits of unknown visitors alone."""

    async def free_deleted(self) -> None:
        """Makes the room of deleted hits usable, or leaves that to autovacuum where we lack the right."""


class HitSweeper:
    """Sweeps while `running`: each six hours, and as soon as half of the room is taken."""

    def __init__(self, storage: SweptStorage, room: Room) -> None:
        self._storage = storage
        self._room = room

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_sweeping())
        try:
            yield
        finally:
            task.cancel()
            # A cancelled query would be waited for, until its connection is closed.
            await wait_or_cancel([task], LAST_SWEEP)

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except DatabaseError as error:
                log.warning(
                    "The disk that page hits take is not kept within its quota", extra=fields(why=error.message)
                )
                await asyncio.sleep(SWEEP_RETRY)
                continue
            except Exception:
                log.exception("The disk that page hits take is not kept within its quota, after an unexpected error")
                await asyncio.sleep(SWEEP_RETRY)
                continue
            await asyncio.sleep(SWEEP_PAUSE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.is_low.wait(), SWEEP_EVERY - SWEEP_PAUSE)

    async def sweep(self) -> None:
        """Deletes hits beyond the quota, and makes room for new ones. Raises DatabaseError."""
        taken, use = self._room.taken, await self._storage.measure_disk()
        if await self._delete_excess(use) or use.dead > self._room.quota.step:
            await self._storage.free_deleted()
            taken, use = self._room.taken, await self._storage.measure_disk()
        if self._room.refused:
            log.warning("Page hits had no room within the quota", extra=fields(hits=self._room.refused, size=use.size))
        self._room.refill(use, taken)

    async def _delete_excess(self, use: DiskUse) -> int:
        """Deletes what is beyond the quota, that of unknown visitors first, and returns its bytes."""
        quota, storage = self._room.quota, self._storage
        unknown = await _delete(storage.delete_oldest_unknown_hits, quota.excess_of_unknown(use))
        return unknown + await _delete(storage.delete_oldest_hits, quota.excess(use) - unknown)


async def _delete(delete_oldest: Callable[[int, int], Awaitable[int]], excess: int) -> int:
    deleted = 0
    while deleted < excess and (swept := await delete_oldest(excess - deleted, SWEEP_BATCH)):
        deleted += swept
    return deleted
