"""Moments of a run, of which its curves are made."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """A run at one moment: `at` in seconds of its work, rows by fate so far, and the latencies, in milliseconds, of the
    confirms since the sample before. None where nothing was reported or no confirm came.

    `after_gap`: nobody looked for a while before, as while the server was dead; what happened then is not known.
    """

    at: float
    read: int
    published: int
    confirmed: int
    received: int | None
    saved: int | None
    p50: float | None
    p99: float | None
    after_gap: bool = False
