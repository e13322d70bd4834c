"""Growth of the time for some work with the size of what is worked on: no more than linear, whatever the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# Characters, unless the input of the work is bounded. 1100000 tries a megabyte of each, which takes a quarter of an hour.
MOST = int(os.environ.get("MOST_CHARACTERS", "66000"))
NOTICEABLE = 0.004  # seconds of processor time; below, nothing is told from noise
STEP, MOST_GROWTH = 4, 3.0  # each of so many times as many may take so much longer than any before; the square takes 4
TRIES = 5
SMALL, TOO_LONG = 64, 0.5  # what takes so many seconds for so few characters grows exponentially


def assert_linear(work: Callable[[int], Callable[[], object]], most: int = MOST, about: object = "") -> None:
    """`work(n)` prepares the work on n characters or so, and returns what carries it out."""
    for size in (16, 20, 24, 28, SMALL):
        assert _time(work(size)) < TOO_LONG, f"{size} characters take very long: {about}"
    size, slowest = SMALL, _time(work(SMALL)) / SMALL
    while size * STEP <= most:
        size *= STEP
        done = work(size)
        took = _time(done)
        for _ in range(TRIES):
            if took <= max(NOTICEABLE, MOST_GROWTH * slowest * size):
                break
            took = min(took, _time(done))
        else:
            raise AssertionError(
                f"each of {size:,} characters takes {took / size / slowest:.1f} times as long as of fewer: {about}"
            )
        slowest = max(slowest, took / size)


def _time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
