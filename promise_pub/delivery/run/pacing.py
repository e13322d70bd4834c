"""At most so many rows a second, evenly, or as a profile says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence

from promise_pub.delivery.broker.messages import SLICE
from promise_pub.parameters.rate_profile import Profile
from promise_pub.records import Row

_SLICES_A_SECOND = 20  # a limited rate comes in steps of 50 ms
# Seconds of delay made up for: what a timer or a busy loop costs. More would be a burst after a stall.
_LAG = 0.02
_NO_ROW = 1e-3  # rows: sums of fractions of seconds are off by less


class Pacer:
    """Cuts rows into slices and lets each go when its time has come. `rate` 0 lets them go at once.

    A profile of steps takes the rate's place. It goes by the clock, from when the pacer is made: a step whose rate
    cannot be held, or in which publishing stood still, ends when it would have ended anyway.
    """

    def __init__(
        self,
        rate: int,
        profile: Profile = (),
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._steps = profile or ((rate, math.inf),)
        self._cycle = sum(seconds for _, seconds in self._steps)
        self._clock = clock or asyncio.get_running_loop().time
        self._due = self._clock()  # when the next row may go
        self._step = 0
        self._ends = self._due + self._steps[0][1]

    async def slices(self, rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
        """The rows in order: over any stretch of time at most what the rate allows, and what a slice and _LAG hold."""
        start = 0
        while start < len(rows):
            piece = rows[start : start + await self._turn(len(rows) - start)]
            yield piece
            start += len(piece)

    @property
    def _rate(self) -> int:
        return self._steps[self._step][0]

    async def _turn(self, most: int) -> int:
        """Waits until a slice may go. How many rows that is."""
        if not self._rate:
            return min(most, SLICE)
        while (wait := self._wait()) > 0:  # noqa: ASYNC110  what is waited for is time
            await asyncio.sleep(wait)  # timers may be early, and late enough for the next step
        count = min(most, self._slice())
        self._spend(count)
        return count

    def _wait(self) -> float:
        """Seconds until the next row is due."""
        now = self._clock()
        self._move(max(self._due, now - _LAG))
        if now >= self._ends:  # what a step missed is not made up for at the next one's cost
            self._move(self._ends)
        return self._due - now

    def _slice(self) -> int:
        """Not past the end of the step: those rows would come before their time."""
        left = (self._ends - self._due) * self._rate + _NO_ROW
        return max(1, int(min(SLICE, left, self._rate // _SLICES_A_SECOND)))

    def _spend(self, rows: float) -> None:
        """So many rows go: the next one is due when they would have gone one by one."""
        while (left := (self._ends - self._due) * self._rate) < rows:
            rows -= left
            self._move(self._ends)
        self._move(self._due + rows / self._rate)

    def _move(self, due: float) -> None:
        """The next row is due at this time, and at the rate of the step that goes then."""
        self._due = due
        if due > self._ends + self._cycle:
            self._ends += (due - self._ends) // self._cycle * self._cycle
        while (self._ends - self._due) * self._rate < _NO_ROW:
            self._due = max(self._due, self._ends)
            self._step = (self._step + 1) % len(self._steps)
            self._ends += self._steps[self._step][1]
