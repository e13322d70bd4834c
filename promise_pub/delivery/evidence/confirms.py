"""Publisher confirms: the rules by which published rows are settled, without a socket.

Delivery tags count the messages of one channel from 1. A confirm settles one tag, or with `multiple` every tag up to
it; confirms may come in any order; a settled tag stays as it was settled; a message that comes back by basic.return
is confirmed as well, just after, and counts as returned. Tags end with their connection, rows do not: unsettled rows
are sent again on the next connection, under new tags.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.evidence.ranges import RowRanges


class _Sent(NamedTuple):
    """Rows written at once: consecutive tags for consecutive row numbers."""

    first_tag: int
    last_tag: int
    first_number: int
    at: float  # seconds of the loop's clock


_last_tag = attrgetter("last_tag")


class Settled(NamedTuple):
    """State of the rows up to `through`, from which a tracker resumes."""

    through: int = 0
    confirmed: int = 0
    returned: RowRanges = RowRanges()  # read only, like nacked
    nacked: RowRanges = RowRanges()
    resent: int = 0
    """Number of messages that repeated rows published before."""
    published: int = 0
    """Highest row ever published: those after `through` count as sent again."""


class ConfirmTracker:
    """Tracker of delivery tags, in time proportional to what they settle.

    A watermark (every tag up to it is settled) plus the sparse set beyond it, instead of a future for each message.
    Rows are published in the order of their numbers, without gaps; every published row is confirmed, returned, nacked
    or in flight, at every moment.
    """

    def __init__(self, settled: Settled | None = None) -> None:
        settled = settled or Settled()
        self.published = settled.through
        self.confirmed = settled.confirmed
        self.returned = settled.returned.up_to(settled.through)
        self.nacked = settled.nacked.up_to(settled.through)
        self.resent = settled.resent
        self.latency = LatencyHistogram()
        self._published_before = settled.published
        self._waiting: deque[int] = deque()  # rows to be sent again, ascending
        self.last_tag = 0
        self._watermark = 0
        self._beyond: set[int] = set()
        self._returning: set[int] = set()  # tags that came back and are not confirmed yet
        self._sent: deque[_Sent] = deque()  # with a tag not settled yet

    @property
    def unsettled(self) -> int:
        """Number of messages of this connection without a confirm."""
        return self.last_tag - self._watermark - len(self._beyond)

    @property
    def in_flight(self) -> int:
        """Number of published rows that are not settled: unconfirmed, or to be sent again."""
        return self.unsettled + len(self._waiting)

    @property
    def settled_through(self) -> int:
        """Last row up to which every row is settled."""
        if self.unsettled:
            return self._number(self._watermark + 1) - 1
        return self._waiting[0] - 1 if self._waiting else self.published

    @property
    def waiting(self) -> list[int]:
        """Numbers of the rows to be sent again, ascending."""
        return [*self._waiting]

    def sent(self, first_number: int, count: int, at: float) -> None:
        """Notes that `count` rows from `first_number` on were written: new ones, or the first of those waiting."""
        first_tag = self.last_tag + 1
        self.last_tag += count
        self._sent.append(_Sent(first_tag, self.last_tag, first_number, at))
        if self._waiting:
            for _ in range(count):
                self._waiting.popleft()
            self.resent += count
            return
        again = min(first_number + count - 1, self._published_before) - first_number + 1
        self.resent += max(0, again)
        self.published += count

    @property
    def unsettled_rows(self) -> RowRanges:
        """Numbers of the published rows that are not settled: as many as `in_flight`."""
        if self._beyond or self._waiting:
            return RowRanges.of(merge(self._in_flight_here(), self._waiting))
        # What is usual: the broker confirms in order, and each batch is one range.
        pairs: list[tuple[int, int]] = []
        for sent in self._sent:
            first = sent.first_number + max(0, self._watermark + 1 - sent.first_tag)
            last = sent.first_number + sent.last_tag - sent.first_tag
            if pairs and pairs[-1][1] == first - 1:
                first = pairs.pop()[0]
            pairs.append((first, last))
        return RowRanges(pairs)

    def _in_flight_here(self) -> list[int]:
        """Returns the rows that this connection has not settled, ascending."""
        return [
            tag - sent.first_tag + sent.first_number
            for sent in self._sent
            for tag in range(max(sent.first_tag, self._watermark + 1), sent.last_tag + 1)
            if tag not in self._beyond
        ]

    def lost(self) -> None:
        """Notes that the connection and its tags are gone: its unsettled rows wait to be sent again."""
        self._waiting.extendleft(reversed(self._in_flight_here()))
        self.last_tag = self._watermark = 0
        self._beyond.clear()
        self._returning.clear()
        self._sent.clear()

    def came_back(self, number: int) -> None:
        """Notes a row that came by basic.return; its confirm is still to come. Ignores a row that is not in flight."""
        for sent in self._sent:
            tag = number - sent.first_number + sent.first_tag
            if sent.first_tag <= tag <= sent.last_tag and not self._is_settled(tag) and tag not in self._returning:
                self._returning.add(tag)
                return

    def ack(self, tag: int, *, multiple: bool, at: float) -> None:
        """Confirms the tag, or with `multiple` every tag up to it; tag 0 with `multiple`: all of them."""
        self._settle(tag, multiple=multiple, nack=False, at=at)

    def nack(self, tag: int, *, multiple: bool, at: float) -> None:
        """Refuses the tag, or with `multiple` every tag up to it."""
        self._settle(tag, multiple=multiple, nack=True, at=at)

    def _is_settled(self, tag: int) -> bool:
        return tag <= self._watermark or tag in self._beyond

    def _settle(self, tag: int, *, multiple: bool, nack: bool, at: float) -> None:
        if multiple and tag == 0:
            tag = self.last_tag
        if tag > self.last_tag or self._is_settled(tag) and not (multiple and tag > self._watermark):
            return
        first = self._watermark + 1 if multiple else tag
        self._note_latency(first, tag, at)
        if nack or self._returning:
            self._settle_each(first, tag, nack=nack)
        else:
            self.confirmed += tag - first + 1 - self._settled_beyond(first, tag)
        self._advance(first, tag)

    def _settle_each(self, first: int, last: int, *, nack: bool) -> None:
        for tag in range(first, last + 1):
            if tag in self._beyond:
                continue
            if tag in self._returning:
                self._returning.discard(tag)
                self.returned.add(self._number(tag))
            elif nack:
                self.nacked.add(self._number(tag))
            else:
                self.confirmed += 1

    def _settled_beyond(self, first: int, last: int) -> int:
        if not self._beyond:
            return 0
        return sum(1 for tag in range(first, last + 1) if tag in self._beyond)

    def _number(self, tag: int) -> int:
        sent = self._sent[self._place(tag)]
        return tag - sent.first_tag + sent.first_number

    def _place(self, tag: int) -> int:
        return bisect_left(self._sent, tag, key=_last_tag)

    def _note_latency(self, first: int, last: int, at: float) -> None:
        while first <= last:
            sent = self._sent[self._place(first)]
            until = min(last, sent.last_tag)
            if settled := until - first + 1 - self._settled_beyond(first, until):
                self.latency.add((at - sent.at) * 1000, settled)
            first = until + 1

    def _advance(self, first: int, last: int) -> None:
        if first == self._watermark + 1:
            self._watermark = last
            if self._beyond:
                self._beyond.difference_update(range(first, last + 1))
                while self._watermark + 1 in self._beyond:
                    self._watermark += 1
                    self._beyond.discard(self._watermark)
            while self._sent and self._sent[0].last_tag <= self._watermark:
                self._sent.popleft()
        else:
            self._beyond.add(last)
