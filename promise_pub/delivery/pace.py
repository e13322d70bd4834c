"""At most so many rows a second, evenly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence

from promise_pub.errors import BadParameter
from promise_pub.records import Row

MOST_RATE = 1_000_000  # rows a second
MOST_STEPS = 100  # of a profile
LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400.0  # of a step; shorter ones would be a few slices

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


_STEP = re.compile(r"([0-9]{1,9}):([0-9]{1,9}(?:\.[0-9]{1,3})?)")


def parse_profile(text: str) -> tuple[tuple[int, float], ...]:
    """The steps in a parameter, as in 100:10,1000:0.5; none in an empty one. Raises BadParameter naming the wrong one."""
    if not text:
        return ()
    steps = text.split(",")
    if len(steps) > MOST_STEPS:
        raise BadParameter(f"profile has {len(steps):,} steps, over the limit of {MOST_STEPS}.")
    return tuple(map(_step, steps))


def _step(text: str) -> tuple[int, float]:
    match = _STEP.fullmatch(text)
    if not match:
        raise BadParameter(
            f"profile must be steps of rows a second:seconds, as in 100:10,1000:5; {text[:50]!r} is none."
        )
    rate, seconds = int(match[1]), float(match[2])
    if not 1 <= rate <= MOST_RATE:
        raise BadParameter(
            f"profile must have from 1 to {MOST_RATE} rows a second in each step, not {match[1]} as in {text!r}."
        )
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise BadParameter(
            f"profile must have steps of {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds, not {match[2]} as in {text!r}."
        )
    return rate, seconds
