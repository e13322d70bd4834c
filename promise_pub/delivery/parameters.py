"""What a run is told: the values of its parameters, out of the text that they come as."""

from __future__ import annotations

import re
from collections.abc import Sequence

from promise_pub.errors import BadParameter

MOST_RATE = 1_000_000  # rows a second
MOST_STEPS = 100  # of a profile
LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400.0  # of a step; shorter ones would be a few slices

Profile = Sequence[tuple[int, float]]
"""Rows a second, and for how many seconds: step by step, and again from the first."""

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_STEP = re.compile(rf"({_NUMBER}):({_NUMBER}(?:\.[0-9]{{1,3}})?)")


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
