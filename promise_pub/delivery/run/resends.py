"""Why rows were sent again, and how many for each reason, in a few sentences however often that was."""

from __future__ import annotations

from collections.abc import Sequence

from promise_pub.records import Resent

MAX_REASONS = 20  # reasons that are told apart
LONGEST_REASON = 500  # characters; a broker's words have 255 bytes at most, a consumer's are cut before
OTHERS = "other reasons"


class Resends:
    """Rows by the reason for which they were sent again, in the order in which the reasons came up."""

    def __init__(self, told: Sequence[Resent] = ()) -> None:
        self._rows: dict[str, int] = {}
        for one in told:
            self._add(one.reason, one.rows)
        self.rows = sum(self._rows.values())
        """All of those whose reason is settled: those that come next are the reason's that was told last."""
        self._reason = OTHERS

    def because(self, reason: str, resent: int) -> None:
        """Rows beyond the first `resent` were sent again for this reason, until the next is told."""
        self._add(self._reason, resent - self.rows)
        self.rows, self._reason = resent, reason

    def told(self, resent: int) -> tuple[Resent, ...]:
        """The reasons, for so many rows in all."""
        self.because(self._reason, resent)
        return tuple(Resent(rows, reason) for reason, rows in self._rows.items())

    def _add(self, reason: str, rows: int) -> None:
        if rows <= 0:
            return
        reason = reason[:LONGEST_REASON]
        if reason not in self._rows and len(self._rows) >= MAX_REASONS:
            reason = OTHERS
        self._rows[reason] = self._rows.get(reason, 0) + rows
