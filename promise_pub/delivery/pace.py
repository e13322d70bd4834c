"""At most so many rows a second, evenly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from promise_pub.records import Row

SLICE = 256  # rows written at once: large enough to amortise the write, small enough to refill the window smoothly
_SLICES_A_SECOND = 20  # a limited rate comes in steps of 50 ms
# Seconds of delay made up for: what a timer or a busy loop costs. More would be a burst after a stall.
_LAG = 0.02


class Pacer:
    """Cuts rows into slices and lets each go when its time has come. `rate` 0 lets them go at once."""

    def __init__(self, rate: int, *, clock: Callable[[], float] | None = None) -> None:
        self._rate = rate
        self._clock = clock or asyncio.get_running_loop().time
        self._size = max(1, min(SLICE, rate // _SLICES_A_SECOND)) if rate else SLICE
        self._due = self._clock()

    async def slices(self, rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
        """The rows in order: over any stretch of time at most `rate` a second, and what a slice and _LAG hold."""
        for start in range(0, len(rows), self._size):
            piece = rows[start : start + self._size]
            if self._rate:
                await self._wait_for_turn(len(piece))
            yield piece

    async def _wait_for_turn(self, count: int) -> None:
        now = self._clock()
        self._due = max(self._due, now - _LAG)
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += count / self._rate
