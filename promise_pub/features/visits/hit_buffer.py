"""A buffer of page hits, which are written to the database in batches, so that no page waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.features.visits.disk_quota import Room
from promise_pub.features.visits.errors import HitRefused
from promise_pub.features.visits.hits import Hit
from promise_pub.logs import fields

log = logging.getLogger(__name__)

FLUSH_EVERY = 1.0  # seconds between writes; a server that is killed loses the hits of this time
BATCH = 500  # hits per statement
MAX_WAITING = 20_000  # hits; a minute without the database, at 330 hits a second
MAX_WAITING_BYTES = 32 * 1024 * 1024  # texts may be long
UNKNOWN_SHARE = 4  # hits of unknown visitors wait only while the buffer is less than a fourth full
LAST_FLUSH = 3.0  # seconds to write the hits that wait at the end


class HitStorage(Protocol):
    """Storage of hits. Every method may raise a DatabaseError."""

    async def add_hits(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        """Writes hits, each once however often it is tried, and returns the forgotten sessions among theirs.

        Raises HitRefused, and writes none, when one of them cannot be stored.
        """


@dataclass(frozen=True, slots=True)
class HitCounts:
    """A server's hits since its start.

    Hits are lost when the buffer is full, the database refuses them, or time is up. They are limited when their client
    has too many, or the disk's quota has no room for them.
    """

    noted: int = 0
    written: int = 0
    lost: int = 0
    waiting: int = 0
    limited: int = 0


class HitBuffer:
    """A buffer of hits, written each second within its `async with` block; the end of the block writes the rest.

    `add` never waits and never fails. While the database is away up to MAX_WAITING hits and MAX_WAITING_BYTES wait;
    further hits are lost, and counted. Hits that there is no `room` for are not written at all.
    """

    def __init__(self, storage: HitStorage, room: Room, forget: Callable[[UUID], None]) -> None:
        self._storage = storage
        self._room = room
        self._forget = forget
        self._waiting: deque[Hit] = deque()
        self._bytes = 0
        self._noted = self._written = self._lost = self._limited = 0
        # The reason why hits are not written, as it was logged last.
        self._trouble = ""
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None]

    @property
    def counts(self) -> HitCounts:
        return HitCounts(self._noted, self._written, self._lost, len(self._waiting), self._limited)

    def add(self, hit: Hit) -> None:
        self._noted += 1
        weight = hit.weight
        share = 1 if hit.known else UNKNOWN_SHARE
        if len(self._waiting) >= MAX_WAITING // share or self._bytes + weight > MAX_WAITING_BYTES // share:
            self._lose(1, "no room")
        elif not self._room.take(weight, known=hit.known):
            self._limited += 1
        else:
            self._waiting.append(hit)
            self._bytes += weight

    def count_limited(self) -> None:
        """Counts a hit that is not recorded, because its client has too many."""
        self._noted += 1
        self._limited += 1

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        if self._trouble != why:
            self._trouble = why
            log.warning("Page hits are lost", extra=fields(why=why, waiting=len(self._waiting)))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_writing())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        last = asyncio.create_task(self.flush())
        # Not asyncio.timeout: a cancelled query would still be waited for, until its connection is closed.
        await wait_or_cancel([self._task, last], LAST_FLUSH)
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
