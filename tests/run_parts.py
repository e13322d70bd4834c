"""Runs to show: reports as a server has them, without a server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from promise_pub.parameters import Parameters
from promise_pub.records import Counts, RunReport, Seconds, SessionView, State, StoredFile, Verdict

RUN = "7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11"
STARTED = datetime(2026, 11, 24, 12, 0, 1, 500_000, UTC)


def report(**changes: Any) -> RunReport:
    """A run that is publishing, half way, unless told otherwise."""
    going = RunReport(
        id=RUN,
        parameters=Parameters(),
        file=StoredFile("data.csv", 2_000_000, "5e" * 32),
        created_at=STARTED,
        started_at=STARTED,
        state=State.PUBLISHING,
        seconds=Seconds(queued=1.0, publishing=4.0, total=5.0),
        counts=Counts(read=50_002, rejected=2, published=50_000, confirmed=40_000),
        session=SessionView("5e55", received=30_000, saved=20_000),
        read_bytes=1_000_000,
    )
    return replace(going, **changes)


def ended(verdict: Verdict = Verdict.KEPT, *sentences: str, **changes: Any) -> RunReport:
    """The same, completed."""
    counts = Counts(read=100_002, rejected=2, published=100_000, confirmed=100_000)
    session = SessionView("5e55", received=100_000, saved=99_000)
    whole: dict[str, Any] = {
        "state": State.COMPLETED,
        "verdict": verdict,
        "explanation": sentences,
        "counts": counts,
        "session": session,
        "seconds": Seconds(queued=1.0, publishing=8.0, draining=1.25, total=10.25),
        "finished_at": STARTED,
        "read_bytes": 2_000_000,
    }
    return report(**{**whole, **changes})
