"""Ends of runs: the state that each leads to, and the wait before the next try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from promise_pub.features.jobs.records import Reason, State
from promise_pub.features.jobs.states import End, Next, Waits, follow

EVEN = Waits(jitter=0.0)
NOW = timedelta()


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


@pytest.mark.parametrize(
    ("end", "attempt", "state", "following"),
    [
        (End.COMPLETED, 1, State.COMPLETED, None),
        (End.CANCELLED, 1, State.CANCELLED, None),
        (End.REFUSED, 1, State.FAILED, None),
        (End.FAILED, 1, State.FAILED, Next(Reason.RETRY, minutes(1))),
        (End.FAILED, 4, State.FAILED, Next(Reason.RETRY, minutes(60))),
        (End.FAILED, 5, State.FAILED, None),
        (End.STOPPED, 1, State.INTERRUPTED, Next(Reason.RESUMED, NOW)),
        (End.STOPPED, 4, State.INTERRUPTED, Next(Reason.RESUMED, NOW)),
        (End.STOPPED, 5, State.FAILED, None),
        (End.CUT, 1, State.INTERRUPTED, Next(Reason.RESUMED, NOW)),
        (End.CUT, 2, State.INTERRUPTED, Next(Reason.RESUMED, minutes(1))),
        (End.CUT, 4, State.INTERRUPTED, Next(Reason.RESUMED, minutes(25))),
        (End.CUT, 5, State.FAILED, None),
    ],
)
def test_each_end_leads_to_a_state_and_perhaps_a_next_try(
    end: End, attempt: int, state: State, following: Next | None
) -> None:
    assert follow(end, attempt, 5, EVEN) == (state, following)


def test_waits_grow_to_an_hour_and_stay_there() -> None:
    assert [EVEN.after(attempt) for attempt in range(1, 8)] == [minutes(n) for n in (1, 5, 25, 60, 60, 60, 60)]


def test_waits_differ_by_a_tenth_at_most() -> None:
    waits = {Waits().after(3) for _ in range(200)}
    assert len(waits) > 100
    assert timedelta(minutes=22.5) <= min(waits) < minutes(25) < max(waits) <= timedelta(minutes=27.5)
