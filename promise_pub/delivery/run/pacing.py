"""The rate at which rows are published: constant, or in the steps of a profile."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence

from promise_pub.delivery.broker.messages import SLICE
from promise_pub.parameters.rate_profile import Profile
from promise_pub.records import Row

_SLICES_A_SECOND = 20  # a limited rate is published in steps of 50 ms
# Seconds of delay that are made up for: the delay of a timer or a busy loop. More would be a burst after a stall.
_LAG = 0.02
_NO_ROW = 1e-3  # rows: rounding errors of sums of seconds are smaller


class RateLimiter:
    """A rate limiter: it cuts rows into slices, and delays each until it is due. A `rate` of 0 delays none.

    A profile of steps replaces the rate. Its steps follow the clock from the making of the limiter on, also where a
    rate cannot be held or publishing stands still.
    """

    def __init__(self, rate: int, profile: Profile = (), *, clock: Callable[[], float] | None = None) -> None:
        self._steps = profile or ((rate, math.inf),)
        self._cycle = sum(seconds for _, seconds in self._steps)
        self._clock = clock or asyncio.get_running_loop().time
        self._due = self._clock()  # when the next row may be published
        self._step = 0
        self._ends = self._due + self._steps[0][1]

    async def slices(self, rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
        """Yields the rows in order: over any period at most what the rate allows, and what a slice and _LAG hold."""
        start = 0
        while start < len(rows):
            piece = rows[start : start + await self._await_slice(len(rows) - start)]
            yield piece
            start += len(piece)

    @property
    def _rate(self) -> int:
        return self._steps[self._step][0]

    async def _await_slice(self, most: int) -> int:
        """Waits until a slice is due. Returns its number of rows."""
        if not self._rate:
            return min(most, SLICE)
        while (delay := self._delay()) > 0:  # noqa: ASYNC110  time is waited for, and no event
            await asyncio.sleep(delay)  # timers may be early, or so late that the next step has begun
        # Rows past the end of the step would come before their time.
        left = (self._ends - self._due) * self._rate + _NO_ROW
        count = min(most, max(1, int(min(SLICE, left, self._rate // _SLICES_A_SECOND))))
        self._spend(count)
        return count

    def _delay(self) -> float:
        """Returns the seconds until the next row is due."""
        now = self._clock()
        self._move_to(max(self._due, now - _LAG))
        if now >= self._ends:  # rows missed in one step are not made up for in the next
            self._move_to(self._ends)
        return self._due - now

    def _spend(self, rows: float) -> None:
        """Makes the next row due when these would have been published one by one."""
        while (left := (self._ends - self._due) * self._rate) < rows:
            rows -= left
            self._move_to(self._ends)
        self._move_to(self._due + rows / self._rate)

    def _move_to(self, due: float) -> None:
        """Makes the next row due at this time, at the rate of the step that holds then."""
        self._due = due
        if due > self._ends + self._cycle:
            self._ends += (due - self._ends) // self._cycle * self._cycle
        while (self._ends - self._due) * self._rate < _NO_ROW:
            self._due = max(self._due, self._ends)
            self._step = (self._step + 1) % len(self._steps)
            self._ends += self._steps[self._step][1]
