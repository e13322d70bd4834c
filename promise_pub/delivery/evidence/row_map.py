"""Knowledge of each row of a run by its number: its fate at the broker, or its session and the claim of that."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from operator import itemgetter
from typing import NamedTuple

from promise_pub.delivery.evidence.claims import Claim, SessionClaims, read_claims, read_earlier_claims
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.fates import Fate
from promise_pub.records import Counts, RunReport

_NO_END = 1 << 62


class Claimed(NamedTuple):
    """A claim of the session with this place among the run's sessions."""

    session: int
    claim: Claim


class Unrecorded(Enum):
    """Facts about rows that the ledger lacks."""

    CONFIRM = auto()
    """They were published; it does not tell which of them were confirmed."""


Known = Fate | Claimed | Unrecorded
"""Knowledge of a row by its number."""


class Piece(NamedTuple):
    """Consecutive rows of which the same is known."""

    first: int
    last: int
    known: Known


class RowMap:
    """Pieces that cover all row numbers from 1 on. Rows that stand in none of those given are `unknown`."""

    def __init__(self, pieces: Iterable[Piece], sessions: Sequence[SessionClaims] = ()) -> None:
        self.sessions = sessions
        self._pieces: list[Piece] = []
        at = 1
        for piece in [*sorted(pieces, key=itemgetter(0)), Piece(_NO_END, _NO_END, Fate.UNKNOWN)]:
            if piece.first > at:
                self._pieces.append(Piece(at, piece.first - 1, Fate.UNKNOWN))
            self._pieces.append(piece)
            at = piece.last + 1
        self._firsts = [piece.first for piece in self._pieces]

    def between(self, first: int, last: int) -> Iterator[Piece]:
        """Yields the pieces of these rows, cut to them."""
        for place in range(bisect_right(self._firsts, first) - 1, len(self._pieces)):
            piece = self._pieces[place]
            if piece.first > last:
                return
            yield Piece(max(piece.first, first), min(piece.last, last), piece.known)


class LostRows(NamedTuple):
    """The rows that did not pass the broker."""

    returned: RowRanges
    nacked: RowRanges
    unconfirmed: RowRanges

    @classmethod
    def of(cls, report: RunReport) -> LostRows:
        """Reads them from a report. It names the first 1,000 ranges at least, and all that its checkpoint covers."""
        checkpoint = report.resume_state.checkpoint
        both = (checkpoint.returned_rows, report.returned_rows), (checkpoint.nacked_rows, report.nacked_rows)
        returned, nacked = (_joined(settled, named, checkpoint.row) for settled, named in both)
        return cls(returned, nacked, _parse_named(report.unconfirmed_rows))

    def count_unnamed(self, counts: Counts) -> int:
        """Returns how many more rows did not pass the broker, by the counts of their run."""
        return counts.published - counts.confirmed - sum(map(len, self))

    def without_them(self, rows: RowRanges) -> RowRanges:
        """Returns those of the rows that are not among them."""
        return rows.without(self.returned).without(self.nacked).without(self.unconfirmed)


def _joined(settled: str, named: str, through: int) -> RowRanges:
    later = _parse_named(named).without(RowRanges([(0, through)]))
    return RowRanges([*RowRanges.parse(settled), *later])


def _parse_named(text: str) -> RowRanges:
    """Reads what `RowRanges.shortened` writes, as far as it names rows."""
    return RowRanges.parse(text.partition(" ")[0])


def map_rows(report: RunReport, lost: LostRows, after: int = 0, digest: str | None = None) -> RowMap:
    """Maps the rows of a run that the consumer reported on to the end.

    Those after `after` belong to its last session, to which `digest` was published.
    """
    pieces = _at_the_broker(report, lost)
    published = report.counts.published
    confirmed = lost.without_them(_rows_between(1, published))
    sessions = [
        read_earlier_claims(one, confirmed.within(RowRanges([(one.first, one.last)])))
        for one in report.earlier
        if one.last >= one.first
    ]
    rest = confirmed.within(_rows_between(after + 1, published))
    if lost.count_unnamed(report.counts):
        # The session's counts are of rows that nobody can tell apart from those that it never got.
        pieces += [Piece(first, last, Unrecorded.CONFIRM) for first, last in rest]
    elif report.session:
        sessions.append(read_claims(report.session, rest, digest))
    for place, session in enumerate(sessions):
        for claim, rows in session.rows.items():
            pieces += [Piece(first, last, Claimed(place, claim)) for first, last in rows]
    return RowMap(pieces, sessions)


def map_unfinished(report: RunReport) -> RowMap:
    """Maps the rows of a run that did not complete. Its consumer gave no final report: what the broker confirmed is
    `unknown`, and so are rows of which the ledger does not tell whether it did."""
    lost, published = LostRows.of(report), report.counts.published
    pieces = _at_the_broker(report, lost)
    if unnamed := lost.count_unnamed(report.counts):
        # Every row up to the checkpoint is settled, and it names those that were lost.
        open_rows = lost.without_them(_rows_between(report.resume_state.checkpoint.row + 1, published))
        if len(open_rows) < unnamed:
            open_rows = lost.without_them(_rows_between(1, published))
        settled = (len(lost.returned), len(lost.nacked)) == (report.counts.returned, report.counts.nacked)
        known = Fate.UNCONFIRMED if settled and len(open_rows) == unnamed else Unrecorded.CONFIRM
        pieces += [Piece(first, last, known) for first, last in open_rows]
    return RowMap(pieces)


def _rows_between(first: int, last: int) -> RowRanges:
    return RowRanges([(first, last)] if first <= last else [])


def _at_the_broker(report: RunReport, lost: LostRows) -> list[Piece]:
    pieces = [Piece(report.counts.published + 1, _NO_END - 1, Fate.UNPUBLISHED)]
    fates = ((Fate.RETURNED, lost.returned), (Fate.NACKED, lost.nacked), (Fate.UNCONFIRMED, lost.unconfirmed))
    for fate, rows in fates:
        pieces += [Piece(first, last, fate) for first, last in rows]
    return pieces
