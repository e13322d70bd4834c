"""Rows over connections that are lost: every one has a fate at every moment, and none has two."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from promise_pub.delivery.evidence.confirms import ConfirmTracker, Settled
from promise_pub.delivery.evidence.ranges import RowRanges


class Connections(RuleBasedStateMachine):
    """A tracker beside a plain dict of fates. On each connection tags count from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = ConfirmTracker()
        self.fates: dict[int, str] = {}
        self.tags: list[int] = []  # the row of each tag of this connection
        self.settled: set[int] = set()  # its tags
        self.waiting: list[int] = []
        self.resent = 0
        self.clock = 0.0

    @rule(count=st.integers(1, 6))
    def send(self, count: int) -> None:
        """New rows, or the first of those that wait: no others before them."""
        if self.waiting:
            rows = self.waiting[:count]
            rows = rows[: next((n for n, row in enumerate(rows) if row != rows[0] + n), len(rows))]
            del self.waiting[: len(rows)]
            self.resent += len(rows)
        else:
            rows = [len(self.fates) + n for n in range(1, count + 1)]
        self.tracker.sent(rows[0], len(rows), self.clock)
        for row in rows:
            self.fates[row] = "in flight"
            self.tags.append(row)

    @rule(tag=st.integers(0, 25), multiple=st.booleans(), ack=st.booleans())
    def confirm(self, tag: int, multiple: bool, ack: bool) -> None:
        settle = self.tracker.ack if ack else self.tracker.nack
        settle(tag, multiple=multiple, at=self.clock)
        if tag > len(self.tags):
            return
        for one in range(1, (tag or len(self.tags)) + 1) if multiple else [tag]:
            if one and one not in self.settled:
                self.settled.add(one)
                row = self.tags[one - 1]
                back = self.fates[row] == "came back"
                self.fates[row] = "returned" if back else "confirmed" if ack else "nacked"

    @rule(row=st.integers(1, 30))
    def come_back(self, row: int) -> None:
        self.tracker.came_back(row)
        if row in self.tags and self.tags.index(row) + 1 not in self.settled:
            self.fates[row] = "came back"

    @precondition(lambda self: self.tags or self.waiting)
    @rule()
    def lose(self) -> None:
        lost = [row for tag, row in enumerate(self.tags, 1) if tag not in self.settled]
        self.tracker.lost()
        self.waiting = lost + self.waiting
        for row in self.waiting:
            self.fates[row] = "in flight"
        self.tags, self.settled = [], set()

    def rows(self, *fates: str) -> list[int]:
        return [row for row, fate in self.fates.items() if fate in fates]

    @invariant()
    def everything_adds_up(self) -> None:
        tracker = self.tracker
        going = self.rows("in flight", "came back")
        assert tracker.published == len(self.fates)
        assert tracker.confirmed == len(self.rows("confirmed"))
        assert str(tracker.returned) == written(self.rows("returned"))
        assert str(tracker.nacked) == written(self.rows("nacked"))
        assert tracker.in_flight == len(tracker.unsettled_rows) == len(going)
        assert str(tracker.unsettled_rows) == written(going)
        assert tracker.waiting == self.waiting
        assert tracker.resent == self.resent
        assert tracker.settled_through == min(going, default=len(self.fates) + 1) - 1


def written(rows: list[int]) -> str:
    ranges = RowRanges()
    for row in rows:
        ranges.add(row)
    return str(ranges)


TestConnections = Connections.TestCase
TestConnections.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)


@pytest.mark.parametrize(("published", "resent"), [(0, 0), (4, 0), (5, 1), (6, 2), (9, 3)])
def test_rows_that_were_published_before_count_as_sent_again(published: int, resent: int) -> None:
    returned = RowRanges([(2, 2), (5, 9)])
    settled = Settled(4, 3, returned, resent=1, published=published)
    tracker = ConfirmTracker(settled)
    assert (tracker.published, tracker.confirmed, str(tracker.returned)) == (4, 3, "2")
    assert tracker.settled_through == 4
    tracker.sent(5, 3, at=0.0)
    assert tracker.resent == 1 + resent
    tracker.ack(2, multiple=True, at=0.0)
    assert (tracker.confirmed, tracker.settled_through) == (5, 6)
    assert str(returned) == "2,5-9"  # what was taken up is left as it was
