"""A rate profile: how many rows a second are published, step by step. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from promise_pub.errors import BadParameter

MAX_RATE = 1_000_000  # rows a second
MAX_STEPS = 100
MIN_SECONDS, MAX_SECONDS = 0.1, 86_400.0  # of a step; shorter ones would be a few slices

Profile = Sequence[tuple[int, float]]
"""Rows a second, and for how many seconds: step by step, and again from the first."""

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_STEP = re.compile(rf"({_NUMBER}):({_NUMBER}(?:\.[0-9]{{1,3}})?)")

# Exactly what `parse_profile` takes, limits included.
_RATE = f"(?:[1-9][0-9]{{0,5}}|{MAX_RATE})"
_TO_86399 = "(?:[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2})"
_SECONDS = rf"(?:0\.[1-9][0-9]{{0,2}}|{_TO_86399}(?:\.[0-9]{{1,3}})?|86400(?:\.0{{1,3}})?)"
PROFILE_PATTERN = f"^(?:{_RATE}:{_SECONDS}(?:,{_RATE}:{_SECONDS}){{0,{MAX_STEPS - 1}}})?$"


def parse_profile(text: str) -> tuple[tuple[int, float], ...]:
    """Returns the steps in a parameter, as in 100:10,1000:0.5. Raises BadParameter naming the wrong one."""
    if not text:
        return ()
    steps = text.split(",")
    if len(steps) > MAX_STEPS:
        raise BadParameter(f"profile has {len(steps):,} steps, over the limit of {MAX_STEPS}.")
    return tuple(map(_parse_step, steps))


def _parse_step(text: str) -> tuple[int, float]:
    match = _STEP.fullmatch(text)
    if not match:
        raise BadParameter(
            f"profile must be steps of rows a second:seconds, as in 100:10,1000:5; {text[:50]!r} is none."
        )
    rate, seconds = int(match[1]), float(match[2])
    if not 1 <= rate <= MAX_RATE:
        raise BadParameter(
            f"profile must have from 1 to {MAX_RATE} rows a second in each step, not {match[1]} as in {text!r}."
        )
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise BadParameter(
            f"profile must have steps of {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds, not {match[2]} as in {text!r}."
        )
    return rate, seconds


def format_profile(profile: Profile) -> str:
    """Returns the text that `parse_profile` reads; seconds have three decimal places at most."""
    return ",".join(f"{rate}:{f'{seconds:.3f}'.rstrip('0').rstrip('.')}" for rate, seconds in profile)
