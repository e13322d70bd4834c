"""The keeper of the journal: moves events out of the outbox, and tells the bus of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import PromisePubError
from promise_pub.features.journal.ports import BATCH, Head
from promise_pub.logs import fields

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at the outbox and the head of the journal
LAST_DRAIN = 1.0  # seconds to move what was told last


class KeptJournal(Protocol):
    """Storage of the journal. Every method may raise a DatabaseError."""

    async def head(self) -> Head: ...

    async def drain_outbox(self, prefix: str) -> int: ...


class Publisher(Protocol):
    """A publisher of own events on the bus."""

    def tell(self, head: Head) -> None:
        """Tells of the journal's newest head. Never waits."""


class JournalKeeper:
    """Keeps the journal while `running`. `head` is its state at the last look; None before the first.

    A database that is away is logged once, and asked again each second.
    """

    def __init__(self, journal: KeptJournal, prefix: str, publisher: Publisher | None) -> None:
        self.head: Head | None = None
        self.drained = 0
        self._journal = journal
        self._prefix = prefix
        self._publisher = publisher
        self._trouble: str | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps the journal during the block, and moves what is told last at its end."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()
            # A cancelled query would be waited for, until its connection is closed.
            await wait_or_cancel([looking, asyncio.create_task(self._drain())], LAST_DRAIN)

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
            self._note_trouble(error.message)
            return
        except Exception:
            log.exception("Events are not moved out of the outbox after an unexpected error")
            return
        self._note_success()
        if self._publisher and self.head.published < self.head.seq:
            self._publisher.tell(self.head)

    async def _drain(self) -> None:
        while moved := await self._journal.drain_outbox(self._prefix):
            self.drained += moved
            if moved < BATCH:
                return

    def _note_trouble(self, why: str) -> None:
        if self._trouble != why:
            self._trouble = why
            log.warning("Events are not moved out of the outbox", extra=fields(why=why))

    def _note_success(self) -> None:
        if self._trouble:
            self._trouble = None
            log.info("Events are moved out of the outbox again")
