"""A tracker that takes up where another stopped ends as that one would have."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.confirms import ConfirmTracker, Settled
from promise_pub.delivery.evidence.ranges import RowRanges

FATES = st.lists(st.sampled_from(["confirmed", "returned", "nacked"]), min_size=1, max_size=25)
STOPS = st.lists(st.integers(0, 25), max_size=5)  # rows that each process publishes before it ends


def settle(tracker: ConfirmTracker, number: int, tag: int, fate: str) -> None:
    if fate == "returned":
        tracker.came_back(number)
    (tracker.nack if fate == "nacked" else tracker.ack)(tag, multiple=False, at=0.0)


def rows_of(fates: list[str], fate: str) -> str:
    ranges = RowRanges()
    for number, one in enumerate(fates, 1):
        if one == fate:
            ranges.add(number)
    return str(ranges)


@settings(deadline=None, max_examples=300)
@given(FATES, STOPS, st.randoms(use_true_random=False))
def test_taken_up_at_any_moment_it_ends_the_same(fates: list[str], stops: list[int], chance: random.Random) -> None:
    rows = len(fates)
    tracker, ever, resent = ConfirmTracker(), 0, 0
    for count in [*stops, rows]:
        first = tracker.published + 1
        through = min(tracker.published + count, rows)
        numbers = [*range(first, through + 1)]
        if numbers:
            tracker.sent(first, len(numbers), at=0.0)
        resent += sum(number <= ever for number in numbers)
        ever = max(ever, through)
        done = numbers if count == rows else [n for n in numbers if chance.random() < 0.8]
        chance.shuffle(done)
        for number in done:
            settle(tracker, number, number - first + 1, fates[number - 1])
        watermark = next((n for n in numbers if n not in done), through + 1) - 1
        assert tracker.settled_through == watermark
        assert tracker.resent == resent
        returned, nacked = tracker.returned.up_to(watermark), tracker.nacked.up_to(watermark)
        assert str(returned) == rows_of(fates[:watermark], "returned")
        assert str(nacked) == rows_of(fates[:watermark], "nacked")
        confirmed = watermark - len(returned) - len(nacked)
        assert confirmed == fates[:watermark].count("confirmed")
        tracker = ConfirmTracker(Settled(watermark, confirmed, returned, nacked, resent, ever))
    assert (tracker.published, tracker.in_flight) == (rows, 0)
    assert tracker.confirmed == fates.count("confirmed")
