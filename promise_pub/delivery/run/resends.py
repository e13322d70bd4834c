"""The reasons why rows were sent again, and their numbers of rows, bounded however often that happened."""

from __future__ import annotations

from collections.abc import Sequence

from promise_pub.records import Resent

MAX_REASONS = 20  # reasons that are counted separately
MAX_REASON_TEXT = 500  # characters; a broker's words have 255 bytes at most, a consumer's are cut before
OTHERS = "other reasons"


class Resends:
    """Numbers of rows that were sent again, by reason, in the order in which the reasons came up."""

    def __init__(self, resends: Sequence[Resent] = ()) -> None:
        self._rows: dict[str, int] = {}
        for one in resends:
            self._add(one.reason, one.rows)
        self.rows = sum(self._rows.values())
        """Rows that are assigned to a reason. Later ones are assigned to the last reason given."""
        self._reason = OTHERS

    def begin_reason(self, reason: str, resent: int) -> None:
        """Assigns the rows after the first `resent` to this reason, until the next one begins."""
        self._add(self._reason, resent - self.rows)
        self.rows, self._reason = resent, reason

    def list_reasons(self, resent: int) -> tuple[Resent, ...]:
        """Returns the reasons of all `resent` rows."""
        self.begin_reason(self._reason, resent)
        return tuple(Resent(rows, reason) for reason, rows in self._rows.items())

    def _add(self, reason: str, rows: int) -> None:
        if rows <= 0:
            return
        reason = reason[:MAX_REASON_TEXT]
        if reason not in self._rows and len(self._rows) >= MAX_REASONS:
            reason = OTHERS
        self._rows[reason] = self._rows.get(reason, 0) + rows
