"""The fates of a run's records before any of them is looked at: a group for all that can be known of one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from promise_pub.delivery.evidence.claims import Claim
from promise_pub.delivery.evidence.row_fates import Cell, InTable, Outcome, assign_fates
from promise_pub.delivery.evidence.row_map import Claimed, Known, RowMap, Unrecorded
from promise_pub.fates import Fate

MAX_UNKNOWN = 200
"""Reasons why rows are unknown: each session may give some of its own. A group's place is one byte, and all other fates
have some twenty reasons."""

_REJECTED = Outcome(Fate.REJECTED)
_NOTHING = Outcome(Fate.UNKNOWN)
_AT_THE_BROKER: Mapping[Known, Outcome] = {
    Fate.UNPUBLISHED: Outcome(Fate.UNPUBLISHED, "it was not published"),
    Fate.RETURNED: Outcome(Fate.RETURNED, "no queue took it"),
    Fate.NACKED: Outcome(Fate.NACKED, "the broker refused it"),
    Fate.UNCONFIRMED: Outcome(Fate.UNCONFIRMED, "published, and no confirm of it is on record"),
    Fate.UNKNOWN: Outcome(Fate.UNKNOWN, "confirmed by the broker; the run ended before the consumer's final report"),
    Unrecorded.CONFIRM: Outcome(
        Fate.UNKNOWN, "published; which of these rows the broker confirmed was not written down"
    ),
}
_FURTHER = Outcome(Fate.UNKNOWN, "what its session reports does not prove more")
_NOT_WRITTEN_DOWN = "not published, as far as its server wrote down before it ended"

Seen = Mapping[tuple[Claimed, InTable], int]
"""The number of rows of each claim, by what employees shows of them."""


def _unseen(rows: RowMap) -> Seen:
    """Counts the rows of each claim, all of them as not looked up."""
    return {
        (Claimed(place, claim), InTable.UNSEEN): len(claimed)
        for place, session in enumerate(rows.sessions)
        for claim, claimed in session.rows.items()
        if claimed
    }


class FatePlan:
    """The groups of a run's records: one for each fate and reason that occurs, in the order in which they were asked
    for. A record that is no row has the first."""

    REJECTED = 0

    def __init__(self, rows: RowMap, seen: Seen, *, interrupted: bool = False) -> None:
        self._interrupted = interrupted
        self.outcomes = [_REJECTED]
        self._places = {_REJECTED: 0}
        self._unknown = 0
        self._fates: dict[tuple[Known, InTable], Outcome] = {}
        by_session: defaultdict[int, dict[Cell, int]] = defaultdict(dict)
        for ((session, claim), table), count in seen.items():
            by_session[session][claim, table] = count
        for session, cells in by_session.items():
            for (claim, table), outcome in assign_fates(rows.sessions[session], cells).items():
                self._fates[Claimed(session, claim), table] = outcome

    @classmethod
    def of_look_up(cls, rows: RowMap, seen: Seen) -> FatePlan:
        """Makes the plan of a run whose mails were looked up: those of all rows that are not missing."""
        return cls(rows, {**seen, **{cell: n for cell, n in _unseen(rows).items() if cell[0].claim is Claim.MISSING}})

    @classmethod
    def without_look_up(cls, rows: RowMap, *, interrupted: bool = False) -> FatePlan:
        """Makes the plan of a run whose mails were not looked up. `interrupted`: its server may have done more than is
        on record."""
        return cls(rows, _unseen(rows), interrupted=interrupted)

    def group(self, known: Known, table: InTable) -> int:
        """Returns the group of rows of which this is known."""
        if isinstance(known, Claimed):
            # Where all rows of a piece are exceptions, nothing is known of others.
            outcome = self._fates.get((known, table), _NOTHING)
        elif self._interrupted and known is Fate.UNPUBLISHED:
            outcome = Outcome(known, _NOT_WRITTEN_DOWN)
        else:
            outcome = _AT_THE_BROKER[known]
        if outcome not in self._places and outcome.fate is Fate.UNKNOWN:
            self._unknown += 1
            outcome = outcome if self._unknown <= MAX_UNKNOWN else _FURTHER
        if outcome not in self._places:
            self._places[outcome] = len(self.outcomes)
            self.outcomes.append(outcome)
        return self._places[outcome]
