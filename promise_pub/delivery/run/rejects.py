"""Rejected rows of a run on their way to the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from promise_pub.records import MAX_REJECTS, Rejected


class RejectBuffer:
    """Rejected rows that the ledger does not hold yet: each once, and the first MAX_REJECTS of a run only.

    `seen` rows were offered by earlier turns of the run.
    """

    def __init__(self, seen: int = 0) -> None:
        self._seen = seen
        self._stored = min(seen, MAX_REJECTS)
        self._pending: list[Rejected] = []

    def add(self, rejected: Sequence[Rejected], total: int) -> None:
        """Adds the rows that are new: `total` is the number of rejected rows of the file up to the last of these."""
        fresh = total - self._seen
        if fresh > 0:
            room = MAX_REJECTS - self._stored - len(self._pending)
            self._pending.extend(rejected[-fresh:][: max(room, 0)])
            self._seen = total

    @property
    def pending(self) -> list[Rejected]:
        """A copy of the rows to be stored."""
        return [*self._pending]

    def mark_stored(self, count: int) -> None:
        """Drops the first `count` pending rows: the ledger holds them."""
        del self._pending[:count]
        self._stored += count

    def discard(self) -> None:
        """Drops the pending rows, which the ledger refuses."""
        self._pending.clear()
