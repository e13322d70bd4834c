"""The rules of publisher confirms, against a naive dict of every tag's fate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence import confirms
from promise_pub.delivery.evidence.confirms import ConfirmTracker


class Naive:
    """What the rules say, one tag at a time."""

    def __init__(self) -> None:
        self.fates: dict[int, str] = {}
        self.numbers: dict[int, int] = {}

    def sent(self, first_number: int, count: int) -> None:
        for number in range(first_number, first_number + count):
            tag = len(self.fates) + 1
            self.fates[tag], self.numbers[tag] = "unsettled", number

    def came_back(self, number: int) -> None:
        tags = [tag for tag, sent in self.numbers.items() if sent == number]
        tag = next((tag for tag in tags if self.fates[tag] == "unsettled"), None)
        if tag:
            self.fates[tag] = "returning"

    def settle(self, tag: int, multiple: bool, fate: str) -> None:
        if tag > len(self.fates):
            return
        last = tag or len(self.fates)
        for settled in range(1, last + 1) if multiple else [tag]:
            if self.fates.get(settled) == "returning":
                self.fates[settled] = "returned"
            elif self.fates.get(settled) == "unsettled":
                self.fates[settled] = fate

    def count(self, *fates: str) -> int:
        return sum(fate in fates for fate in self.fates.values())

    def rows(self, fate: str) -> set[int]:
        return {self.numbers[tag] for tag, its in self.fates.items() if its == fate}


def same(tracker: ConfirmTracker, naive: Naive) -> None:
    assert tracker.published == len(naive.fates)
    assert tracker.confirmed == naive.count("confirmed")
    assert len(tracker.returned) == naive.count("returned")
    assert len(tracker.nacked) == naive.count("nacked")
    assert tracker.unsettled == naive.count("unsettled", "returning")
    settled = tracker.confirmed + len(tracker.returned) + len(tracker.nacked)
    assert tracker.published == settled + tracker.unsettled
    assert {n for n in naive.numbers.values() if n in tracker.returned} == naive.rows("returned")
    assert {n for n in naive.numbers.values() if n in tracker.nacked} == naive.rows("nacked")
    summed = tracker.latency._buckets.total()
    assert summed == settled  # every settled row is timed, and once


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sent"), st.integers(1, 6), st.just(False)),
        st.tuples(st.sampled_from(["ack", "nack"]), st.integers(0, 40), st.booleans()),
        st.tuples(st.just("came back"), st.integers(1, 45), st.just(False)),
    ),
    max_size=60,
)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(STEPS, st.integers(1, 9))
def test_any_order_of_confirms_ends_as_the_rules_say(steps: list[tuple[str, int, bool]], first_number: int) -> None:
    """Single and multiple, out of order, of settled tags, of tags never sent: every moment adds up."""
    tracker, naive, number = ConfirmTracker(), Naive(), first_number
    for step, value, multiple in steps:
        if step == "sent":
            tracker.sent(number, value, at=0.0)
            naive.sent(number, value)
            number += value + 1  # a row in between was rejected
        elif step == "came back":
            tracker.came_back(value)
            naive.came_back(value)
        else:
            settle = tracker.ack if step == "ack" else tracker.nack
            settle(value, multiple=multiple, at=1.0)
            naive.settle(value, multiple, "confirmed" if step == "ack" else "nacked")
        same(tracker, naive)


@pytest.mark.parametrize(
    ("steps", "confirmed", "returned", "nacked", "unsettled"),
    [
        ([], 0, "", "", 5),
        (["ack 1"], 1, "", "", 4),
        (["ack 3*"], 3, "", "", 2),
        (["ack 0*"], 5, "", "", 0),
        (["nack 0*"], 0, "", "101-105", 0),
        (["ack 0"], 0, "", "", 5),  # there is no tag 0
        (["ack 6"], 0, "", "", 5),  # nor a sixth
        (["ack 6*"], 0, "", "", 5),
        (["ack 2", "nack 2"], 1, "", "", 4),  # a settled tag stays as it was
        (["nack 2", "ack 2"], 0, "", "102", 4),
        (["nack 2", "ack 5*"], 4, "", "102", 0),
        (["ack 2", "nack 5*"], 1, "", "101,103-105", 0),
        (["ack 4", "ack 2", "ack 4*"], 4, "", "", 1),  # a multiple up to a tag that is settled
        (["ack 5", "ack 4", "ack 3", "ack 2", "ack 1"], 5, "", "", 0),
        (["back 103", "ack 3"], 0, "103", "", 4),
        (["back 103", "ack 5*"], 4, "103", "", 0),
        (["back 103", "nack 3"], 0, "103", "", 4),  # it came back: that is what became of it
        (["back 103", "back 103", "ack 0*"], 4, "103", "", 0),
        (["ack 3", "back 103", "ack 0*"], 5, "", "", 0),  # too late to be true
        (["back 100", "back 106", "back 0", "ack 0*"], 5, "", "", 0),  # rows nobody sent
    ],
)
def test_five_rows(steps: list[str], confirmed: int, returned: str, nacked: str, unsettled: int) -> None:
    tracker = ConfirmTracker()
    tracker.sent(101, 2, at=0.0)
    tracker.sent(103, 3, at=0.0)
    for step in steps:
        what, tag = step.split()
        if what == "back":
            tracker.came_back(int(tag))
        else:
            settle = tracker.ack if what == "ack" else tracker.nack
            settle(int(tag.rstrip("*")), multiple=tag.endswith("*"), at=1.0)
    told = (tracker.confirmed, str(tracker.returned), str(tracker.nacked), tracker.unsettled)
    assert told == (confirmed, returned, nacked, unsettled)


def test_a_row_sent_twice_that_comes_back_twice_is_not_taken_for_confirmed() -> None:
    tracker = ConfirmTracker()
    tracker.sent(7, 1, at=0.0)
    tracker.sent(7, 1, at=0.0)
    tracker.came_back(7)
    tracker.came_back(7)
    tracker.ack(0, multiple=True, at=1.0)
    assert tracker.confirmed == 0 and str(tracker.returned) == "7"


def test_the_latency_of_a_row_counts_from_its_own_batch() -> None:
    tracker = ConfirmTracker()
    tracker.sent(1, 99, at=0.0)
    tracker.sent(100, 1, at=0.9)
    tracker.ack(100, multiple=False, at=1.0)
    tracker.ack(100, multiple=True, at=2.0)  # the rest; the hundredth is not timed again
    summary = tracker.latency.summary()
    assert summary and summary.max == 2000
    assert tracker.latency._buckets.total() == 100
    assert min(tracker.latency._buckets.values()) == 1


class CountedDeque(confirms.deque):  # type: ignore[type-arg]
    """Counts how often an element is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        CountedDeque.looks += 1
        return super().__getitem__(at)

    def __iter__(self) -> Any:
        for element in super().__iter__():
            CountedDeque.looks += 1
            yield element


class CountedSet(set):  # type: ignore[type-arg]
    looks = 0

    def __contains__(self, tag: object) -> bool:
        CountedSet.looks += 1
        return super().__contains__(tag)


@pytest.fixture
def tracker() -> ConfirmTracker:
    tracker = ConfirmTracker()
    tracker._sent, tracker._beyond = CountedDeque(), CountedSet()
    CountedDeque.looks = CountedSet.looks = 0
    return tracker


ROWS = 4_000
ORDERS = {
    "by many multiples": ([(tag, True) for tag in range(2, ROWS + 1, 2)], 1),
    "one by one": ([(tag, False) for tag in range(1, ROWS + 1)], 1),
    "one by one from the end": ([(tag, False) for tag in range(ROWS, 0, -1)], 1),
    "one by one from the end, in batches": ([(tag, False) for tag in range(ROWS, 0, -1)], 250),
    "odd ones, then the rest by multiples": (
        [(tag, False) for tag in range(1, ROWS, 2)] + [(tag, True) for tag in range(2, ROWS + 1, 2)],
        1,
    ),
    "all but the first, then all": (
        [(tag, False) for tag in range(2, ROWS + 1)] + [(ROWS, True)],
        1,
    ),
}


@pytest.mark.parametrize("nack", [False, True], ids=["acks", "nacks"])
@pytest.mark.parametrize(("order", "batch"), ORDERS.values(), ids=ORDERS)
def test_settling_costs_in_proportion_to_what_is_settled(
    tracker: ConfirmTracker, order: list[tuple[int, bool]], batch: int, nack: bool
) -> None:
    for first in range(1, ROWS + 1, batch):
        tracker.sent(first, batch, at=0.0)
    for tag, multiple in order:
        (tracker.nack if nack else tracker.ack)(tag, multiple=multiple, at=1.0)
    assert tracker.unsettled == 0
    assert CountedDeque.looks + CountedSet.looks < 80 * ROWS  # log2(4,000) is 12; squared, 16,000,000
    assert not tracker._sent and not tracker._beyond  # nothing is kept of what is settled


def test_a_tracker_keeps_nothing_of_rows_that_are_settled() -> None:
    tracker = ConfirmTracker()
    for first in range(1, 100_001, 1_000):
        tracker.sent(first, 1_000, at=0.0)
        tracker.came_back(first)
        tracker.ack(first + 999, multiple=True, at=0.0)
    assert (tracker.confirmed, len(tracker.returned)) == (99_900, 100)
    assert not (tracker._sent or tracker._beyond or tracker._returning)
