"""A buffer of page hits, which are written to the database in batches, so that no page waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.features.visits.errors import HitRefused
from promise_pub.features.visits.hits import Hit
from promise_pub.logs import fields

log = logging.getLogger(__name__)

FLUSH_EVERY = 1.0  # seconds between writes; a server that is killed loses the hits of this time
BATCH = 500  # hits per statement
MAX_WAITING = 20_000  # hits; a minute without the database, at 330 hits a second
MAX_WAITING_BYTES = 32 * 1024 * 1024  # headers may be long
LAST_FLUSH = 3.0  # seconds to write the hits that wait at the end
SWEEP_EVERY = 24 * 3600.0  # seconds
SWEEP_RETRY = 600.0  # seconds after a sweep that failed
SWEEP_BATCH = 10_000  # hits per statement
# A server remembers a session while it may be idle, at most a week. It must not write hits of a forgotten one then.
FORGOTTEN_KEPT = timedelta(days=8)


class HitStorage(Protocol):
    """Storage of hits. Every method may raise a DatabaseError."""

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        """Writes hits, each once however often it is tried, and returns the forgotten sessions among theirs.

        Raises HitRefused, and writes none, when one of them cannot be stored.
        """

    async def delete_old_hits(self, before: datetime, limit: int) -> int:
        """Deletes up to `limit` hits older than `before`, and returns their number."""

    async def delete_old_forgotten(self, before: datetime) -> None:
        """Deletes the marks of sessions that were forgotten before then."""


@dataclass(frozen=True, slots=True)
class HitCounts:
    """A server's hits since its start. Hits are lost when the buffer is full, the database refuses them, or time is up."""

    noted: int = 0
    written: int = 0
    lost: int = 0
    waiting: int = 0


class HitBuffer:
    """A buffer of hits, written each second within its `async with` block; the end of the block writes the rest.

    `add` never waits and never fails. While the database is away up to MAX_WAITING hits and MAX_WAITING_BYTES wait;
    further hits are lost, and counted. Hits older than `keep` days are deleted once a day.
    """

    def __init__(self, storage: HitStorage, keep: int, forget: Callable[[UUID], None]) -> None:
        self._storage = storage
        self._keep = timedelta(days=keep)
        self._forget = forget
        self._waiting: deque[Hit] = deque()
        self._bytes = 0
        self._noted = self._written = self._lost = 0
        # The reason why hits are not written, as it was logged last.
        self._trouble = ""
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def counts(self) -> HitCounts:
        return HitCounts(self._noted, self._written, self._lost, len(self._waiting))

    def add(self, hit: Hit) -> None:
        self._noted += 1
        weight = hit.weight
        if len(self._waiting) >= MAX_WAITING or self._bytes + weight > MAX_WAITING_BYTES:
            self._lose(1, "no room")
            return
        self._waiting.append(hit)
        self._bytes += weight

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        if self._trouble != why:
            self._trouble = why
            log.warning("Page hits are lost", extra=fields(why=why, waiting=len(self._waiting)))

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._keep_writing()),
            asyncio.create_task(self._keep_sweeping()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        last = asyncio.create_task(self.flush())
        # Not asyncio.timeout: a cancelled query would still be waited for, until its connection is closed.
        await wait_or_cancel([*self._tasks, last], LAST_FLUSH)
        if self._waiting:
            self._lose(len(self._waiting), "the database was away at the end")
            self._waiting.clear()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("Page hits wait after an unexpected error")

    async def flush(self) -> None:
        """Writes all waiting hits, or stops at the first error of the database, which is logged."""
        async with self._writing:
            while self._waiting:
                batch = [*islice(self._waiting, BATCH)]
                try:
                    await self._write(batch)
                except DatabaseError as error:
                    self._log_trouble(error)
                    return
            self._trouble = ""

    async def _write(self, batch: Sequence[Hit]) -> None:
        """Writes the first hits that wait. Raises DatabaseError when they have to wait longer."""
        try:
            forgotten = await self._storage.add_hits(batch)
        except HitRefused as error:
            if len(batch) > 1:
                for hit in batch:
                    await self._write([hit])
                return
            self._lose(1, error.message)
        else:
            self._written += len(batch)
            for session in forgotten:
                self._forget(session)
        for _ in batch:
            self._bytes -= self._waiting.popleft().weight

    def _log_trouble(self, error: DatabaseError) -> None:
        # Logged once while the reason stays the same.
        if self._trouble != error.message:
            self._trouble = error.message
            log.warning("Page hits wait", extra=fields(why=error.message, waiting=len(self._waiting)))

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self._sweep(datetime.now(UTC))
                pause = SWEEP_EVERY
            except DatabaseError as error:
                log.warning("Old page hits are not deleted", extra=fields(why=error.message))
                pause = SWEEP_RETRY
            await asyncio.sleep(pause)

    async def _sweep(self, now: datetime) -> None:
        swept = SWEEP_BATCH
        # In batches, so that others can write in between.
        while swept == SWEEP_BATCH:
            swept = await self._storage.delete_old_hits(now - self._keep, SWEEP_BATCH)
        await self._storage.delete_old_forgotten(now - FORGOTTEN_KEPT)
