"""Growth of the time for some work with the size of what is worked on: no more than linear, whatever the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST = 64_000  # characters, unless the input of the work is bounded
NOTICEABLE = 0.004  # seconds of processor time; below, nothing is told from noise
STEP, MOST_GROWTH = 4, 10.0  # so many times the size may take so many times the time; the square would take 16 times
TRIES = 5
SMALL, TOO_LONG = 64, 0.5  # what takes so many seconds for so few characters grows exponentially


def assert_linear(work: Callable[[int], Callable[[], object]], most: int = MOST, about: object = "") -> None:
    """`work(n)` prepares the work on n characters or so, and returns what carries it out."""
    for size in (16, 20, 24, 28, SMALL):
        assert _time(work(size)) < TOO_LONG, f"{size} characters take very long: {about}"
    size = SMALL
    while size * STEP <= most:
        small, large = work(size), work(size * STEP)
        if (took := _time(large)) > NOTICEABLE:
            for _ in range(TRIES):
                if took <= MOST_GROWTH * _time(small):
                    break
                took = min(took, _time(large))
            else:
                raise AssertionError(
                    f"{STEP} times {size:,} characters take over {MOST_GROWTH:g} times the time: {about}"
                )
        size *= STEP


def _time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
