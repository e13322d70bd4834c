"""Rejected rows on their way to the ledger: each once, ten thousand of a run, and all counted elsewhere."""

from __future__ import annotations

from promise_pub.delivery.run.rejects import RejectBuffer
from promise_pub.records import MAX_REJECTS, Rejected


def rows(count: int, first: int = 1) -> list[Rejected]:
    return [Rejected(line, "one field", "x") for line in range(first, first + count)]


def test_ten_thousand_rows_are_kept() -> None:
    buffer = RejectBuffer()
    buffer.add(rows(MAX_REJECTS - 1), MAX_REJECTS - 1)
    buffer.mark_stored(4_000)
    buffer.add(rows(5, first=20_000), MAX_REJECTS + 4)
    buffer.add(rows(5, first=30_000), MAX_REJECTS + 9)
    pending = buffer.pending
    assert len(pending) == MAX_REJECTS - 4_000
    assert (pending[0].line, pending[-1].line) == (4_001, 20_000)
    buffer.mark_stored(len(pending))
    buffer.add(rows(1, first=40_000), MAX_REJECTS + 10)
    assert buffer.pending == []


def test_rows_that_are_read_again_are_not_added_again() -> None:
    buffer = RejectBuffer(seen=2)
    buffer.add(rows(2), 2)
    assert buffer.pending == []
    buffer.add(rows(3, first=2), 4)
    assert [row.line for row in buffer.pending] == [3, 4]


def test_rows_that_come_while_others_are_stored_stay() -> None:
    buffer = RejectBuffer()
    buffer.add(rows(2), 2)
    stored = buffer.pending
    buffer.add(rows(1, first=3), 3)
    buffer.mark_stored(len(stored))
    assert [row.line for row in buffer.pending] == [3]
    buffer.discard()
    assert buffer.pending == []
