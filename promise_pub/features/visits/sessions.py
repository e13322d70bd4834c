"""Whose hit it is: sessions by their cookie. One is random, tells visitors apart, and grants nothing."""

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

MOST_REMEMBERED = 10_000  # sessions, the latest: about 3 MB. Others are asked for again
ASK_TIMEOUT = 0.1  # seconds that a page may wait to hear whether a session is known: a lookup takes 1 ms
MOST_ASKING = 2  # at a time: whoever makes up cookies must not take the connections of runs and pages
REST = 5.0  # seconds without asking, after there was no answer

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

LastHit = Callable[[UUID], Awaitable[datetime | None]]
"""When a session was here last; None for one that never was. Raises DatabaseError where there is no answer."""


class Sessions:
    """The sessions of one server's visitors.

    One that had no hit for `idle` seconds has ended. Sessions are known by their hits, so that they outlive this
    process, and go on at another one; one that cannot be asked for now is unknown, and its visitor gets a new one.
    """

    def __init__(self, last_hit: LastHit, idle: float, clock: Callable[[], float] = time.time) -> None:
        self._last_hit = last_hit
        self._idle = idle
        self._clock = clock  # seconds since 1970, as hits have it
        self._seen: OrderedDict[UUID, float] = OrderedDict()
        self._resting_until = 0.0
        self._asking = BackgroundTasks()
        self._turns = asyncio.Semaphore(MOST_ASKING)

    async def of(self, cookie: str | None) -> tuple[UUID, bool]:
        """The session that goes by this cookie, or a new one; and whether it is new."""
        if cookie and _UUID.fullmatch(cookie):
            session = UUID(cookie)
            if await self._goes_on(session):
                return session, False
        return self._new(), True

    def touch(self, session: UUID) -> None:
        """It was here now."""
        self._seen[session] = self._clock()
        self._seen.move_to_end(session)
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)

    def forget(self, session: UUID) -> None:
        self._seen.pop(session, None)

    def _new(self) -> UUID:
        session = uuid4()
        self.touch(session)
        return session

    async def _goes_on(self, session: UUID) -> bool:
        return self._is_recent(self._seen.get(session)) or self._is_recent(await self._asked(session))

    def _is_recent(self, seen: float | None) -> bool:
        return seen is not None and self._clock() - seen < self._idle

    async def _asked(self, session: UUID) -> float | None:
        """When it was here, by its hits. Nobody waits for long, and those who come next not at all."""
        if self._rests():
            return None
        asking = self._asking.start(self._look_up(session))
        # Not a time-out: a query that is called off has its connection waited for.
        await asyncio.wait({asking}, timeout=ASK_TIMEOUT)
        if not asking.done():
            self._rest()
            return None
        return asking.result()

    async def _look_up(self, session: UUID) -> float | None:
        async with self._turns:
            if self._rests():
                return None
            try:
                at = await self._last_hit(session)
            except DatabaseError:
                self._rest()
                return None
        if at is None:
            return None
        self._seen[session] = seen = max(at.timestamp(), self._seen.get(session, 0.0))
        return seen

    def _rests(self) -> bool:
        """Not longer than REST, also when the clock is put back meanwhile."""
        return 0 < self._resting_until - self._clock() <= REST

    def _rest(self) -> None:
        self._resting_until = self._clock() + REST
