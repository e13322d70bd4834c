"""Sessions of visitors, identified by a cookie: a random number that tells visitors apart and grants nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID, uuid4

from promise_pub.concurrency import BackgroundTasks
from promise_pub.errors import DatabaseError

MAX_REMEMBERED = 10_000  # latest sessions, about 3 MB; others are looked up again
LOOKUP_TIMEOUT = 0.1  # seconds that a page waits for a lookup, which takes 1 ms
MAX_LOOKUPS = 2  # at a time, so that made-up cookies do not take the connections of runs and pages
LOOKUP_PAUSE = 5.0  # seconds without lookups after one that got no answer

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

LastHit = Callable[[UUID], Awaitable[datetime | None]]
"""Returns the time of a session's last hit, or None for an unknown session. Raises DatabaseError."""


class VisitorSessions:
    """The sessions of one server's visitors. A session ends after `idle` seconds without a hit.

    Sessions are looked up by their hits, so they survive a restart and continue at another server. While the lookup
    gets no answer a session counts as unknown, and its visitor gets a new one.
    """

    def __init__(self, last_hit: LastHit, idle: float, clock: Callable[[], float] = time.time) -> None:
        self._last_hit = last_hit
        self._idle = idle
        self._clock = clock
        self._seen: OrderedDict[UUID, float] = OrderedDict()
        self._paused_until = 0.0
        self._lookups = BackgroundTasks()
        self._turns = asyncio.Semaphore(MAX_LOOKUPS)

    async def find_or_start(self, cookie: str | None) -> tuple[UUID, bool]:
        """Returns the session of a cookie or a new one, and whether it is new."""
        if cookie and _UUID.fullmatch(cookie):
            session = UUID(cookie)
            if self._is_active(self._seen.get(session)) or self._is_active(await self._look_up(session)):
                return session, False
        session = uuid4()
        self.touch(session)
        return session, True

    def touch(self, session: UUID) -> None:
        """Remembers that a session had a hit just now."""
        self._seen[session] = self._clock()
        self._seen.move_to_end(session)
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)

    def forget(self, session: UUID) -> None:
        self._seen.pop(session, None)

    def _is_active(self, seen: float | None) -> bool:
        return seen is not None and self._clock() - seen < self._idle

    async def _look_up(self, session: UUID) -> float | None:
        """Returns the time of the last hit. After a lookup without an answer the next pages do not wait at all."""
        if self._is_paused():
            return None
        lookup = self._lookups.start(self._ask(session))
        # Not asyncio.timeout: a cancelled query would still be waited for, until its connection is closed.
        await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT)
        if not lookup.done():
            self._pause()
            return None
        return lookup.result()

    async def _ask(self, session: UUID) -> float | None:
        async with self._turns:
            if self._is_paused():
                return None
            try:
                at = await self._last_hit(session)
            except DatabaseError:
                self._pause()
                return None
        if at is None:
            return None
        self._seen[session] = seen = max(at.timestamp(), self._seen.get(session, 0.0))
        return seen

    def _is_paused(self) -> bool:
        # When the clock is set back, a pause is over: it would last longer than LOOKUP_PAUSE.
        return 0 < self._paused_until - self._clock() <= LOOKUP_PAUSE

    def _pause(self) -> None:
        self._paused_until = self._clock() + LOOKUP_PAUSE
