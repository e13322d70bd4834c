"""Hits on their way to the database: noted at once, written in batches, off the way of whoever is shown a page."""

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

FLUSH_EVERY = 1.0  # seconds between writes: what a server that is killed can lose
BATCH = 500  # hits of one statement
MOST_WAITING = 20_000  # hits: a minute without the database, at 330 a second
MOST_BYTES = 32 * 1024 * 1024  # of them: headers may be long
LAST_FLUSH = 3.0  # seconds at the end for what still waits
SWEEP_EVERY = 24 * 3600.0  # seconds
SWEEP_AGAIN = 600.0  # seconds after a sweep that failed
SWEPT_AT_ONCE = 10_000  # hits of one statement
REMEMBERED = timedelta(days=8)  # of sessions to be forgotten: servers know one for as long as it may be idle, a week


class Keeper(Protocol):
    """Where hits are kept. Every method raises a kind of DatabaseError."""

    async def add(self, hits: Sequence[Hit]) -> Sequence[UUID]:
        """Writes the hits, each once however often it is tried; the sessions among them that are to be forgotten.

        Raises HitRefused when one of them cannot be kept: then none is written.
        """

    async def sweep(self, before: datetime, most: int) -> int:
        """Deletes so many hits from before then at most; how many it was."""

    async def sweep_forgotten(self, before: datetime) -> None:
        """No longer knows the sessions that were to be forgotten before then."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a server's hits since its start. `lost`: there was no room, they were refused, or time was up."""

    noted: int = 0
    written: int = 0
    lost: int = 0
    waiting: int = 0


class Recorder:
    """Takes hits and writes them each second, as long as its `with` block lasts; the end writes the rest.

    `note` never waits and never fails. While the database is away hits wait, up to MOST_WAITING and MOST_BYTES of
    them; those that come then are lost, and counted. Hits older than `keep` days are swept once a day.
    """

    def __init__(self, keeper: Keeper, keep: int, forget: Callable[[UUID], None]) -> None:
        self._keeper = keeper
        self._keep = timedelta(days=keep)
        self._forget = forget  # called with each session that is not to be known any more
        self._waiting: deque[Hit] = deque()
        self._bytes = 0
        self._noted = self._written = self._lost = 0
        self._trouble = ""  # what keeps hits from being written, as it was told
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def recorded(self) -> Recorded:
        return Recorded(self._noted, self._written, self._lost, len(self._waiting))

    def note(self, hit: Hit) -> None:
        self._noted += 1
        weight = hit.weight
        if len(self._waiting) >= MOST_WAITING or self._bytes + weight > MOST_BYTES:
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
        # Not a time-out: a query that is called off has its connection waited for.
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
                log.exception("Page hits wait, for a reason nobody foresaw")

    async def flush(self) -> None:
        """Writes what waits, as far as the database takes it."""
        async with self._writing:
            while self._waiting:
                batch = [*islice(self._waiting, BATCH)]
                try:
                    await self._write(batch)
                except DatabaseError as error:
                    self._tell(error)
                    return
            self._trouble = ""

    async def _write(self, batch: Sequence[Hit]) -> None:
        """These are the first of those that wait. Raises DatabaseError where they have to go on waiting."""
        try:
            forgotten = await self._keeper.add(batch)
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

    def _tell(self, error: DatabaseError) -> None:
        """Once, as long as it stays the same."""
        if self._trouble != error.message:
            self._trouble = error.message
            log.warning("Page hits wait", extra=fields(why=error.message, waiting=len(self._waiting)))

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self._sweep(datetime.now(UTC))
                pause = SWEEP_EVERY
            except DatabaseError as error:
                log.warning("Old page hits stay", extra=fields(why=error.message))
                pause = SWEEP_AGAIN
            await asyncio.sleep(pause)

    async def _sweep(self, now: datetime) -> None:
        swept = SWEPT_AT_ONCE
        while swept == SWEPT_AT_ONCE:  # a piece at a time: others write in between
            swept = await self._keeper.sweep(now - self._keep, SWEPT_AT_ONCE)
        await self._keeper.sweep_forgotten(now - REMEMBERED)
