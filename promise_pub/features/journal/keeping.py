"""The keeper of the journal: moves events out of the outbox, tells the bus of them, and deletes old ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import PromisePubError
from promise_pub.features.journal.ports import BATCH, Head, Swept
from promise_pub.logs import fields

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the outbox and the head of the journal
SWEEP_EVERY = 600.0  # seconds
SWEEP_BATCH = 10_000  # events a statement, between which others can append
LAST_DRAIN = 1.0  # seconds to move what was told last


class KeptJournal(Protocol):
    """Storage of the journal. Every method may raise a DatabaseError."""

    async def head(self) -> Head: ...

    async def drain_outbox(self, prefix: str) -> int: ...

    async def sweep(self, before: datetime, limit: int, published: int | None) -> Swept: ...


class Publisher(Protocol):
    """A publisher of own events on the bus."""

    def tell(self, head: Head) -> None:
        """Tells of the journal's newest head. Never waits."""


class JournalKeeper:
    """Keeps the journal while `running`. `head` is its state at the last look; None before the first.

    A database that is away is logged once, and asked again each second. With a publisher no event is swept
    that is not on the bus. Without `takes_outbox` old events are swept, and nothing else is done.
    """

    def __init__(
        self, journal: KeptJournal, prefix: str, keep: int, publisher: Publisher | None, *, takes_outbox: bool = True
    ) -> None:
        self.head: Head | None = None
        self.drained = 0
        self.swept = 0
        self._journal = journal
        self._prefix = prefix
        self._keep = timedelta(days=keep)
        self._publisher = publisher
        self._takes_outbox = takes_outbox
        self._troubles: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the journal during the block, and moves what is told last at its end."""
        tasks = [asyncio.create_task(self._keep_sweeping())]
        if self._takes_outbox:
            tasks.append(asyncio.create_task(self._keep_looking()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            # A cancelled query would be waited for, until its connection is closed.
            last = [asyncio.create_task(self._drain())] if self._takes_outbox else []
            await wait_or_cancel([*tasks, *last], LAST_DRAIN)

    async def _keep_looking(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        try:
            self.head = await self._journal.head()
            if self.head.waiting:
                await self._drain()
                self.head = await self._journal.head()
        except PromisePubError as error:
            self._note_trouble("Events are not moved out of the outbox", error.message)
            return
        except Exception:
            log.exception("Events are not moved out of the outbox after an unexpected error")
            return
        self._note_success("Events are not moved out of the outbox")
        if self._publisher and self.head.published < self.head.seq:
            self._publisher.tell(self.head)

    async def _drain(self) -> None:
        while moved := await self._journal.drain_outbox(self._prefix):
            self.drained += moved
            if moved < BATCH:
                return

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep(datetime.now(UTC))
            except PromisePubError as error:
                self._note_trouble("Old events are not deleted", error.message)
            except Exception:
                log.exception("Old events are not deleted after an unexpected error")
            else:
                self._note_success("Old events are not deleted")
            await asyncio.sleep(SWEEP_EVERY)

    async def sweep(self, now: datetime) -> None:
        """Deletes events that are too old, in pieces. Raises DatabaseError."""
        while True:
            published = (await self._journal.head()).published if self._publisher else None
            swept = await self._journal.sweep(now - self._keep, SWEEP_BATCH, published)
            self.swept += swept.deleted
            if swept.deleted < SWEEP_BATCH:
                break
        if swept.held_for is None:
            self._note_success("Old events are kept longer")
        else:
            self._note_trouble("Old events are kept longer", f"{swept.held_for or 'the bus'} has not read them")

    def _note_trouble(self, what: str, why: str) -> None:
        if self._troubles.get(what) != why:
            self._troubles[what] = why
            log.warning(what, extra=fields(why=why))

    def _note_success(self, what: str) -> None:
        if self._troubles.pop(what, None):
            log.info("It is over: %s", what[0].lower() + what[1:])
