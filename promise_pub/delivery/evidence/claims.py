"""Claims of a session about its rows, by their numbers, as far as its counts agree with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.records import EarlierSession, SessionView


class Claim(StrEnum):
    """The claim of a session about one row."""

    RECEIVED = "received"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    MISSING = "missing"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """The confirmed rows of one session by what it says of them. Each of them stands in `rows` once.

    `differs`: its digest shows that it received something else than these rows. `vague`: its counts are about more rows
    than these, so that it saved as many of these at most.
    """

    session: SessionView
    rows: Mapping[Claim, RowRanges]
    differs: bool = False
    vague: bool = False

    @property
    def confirmed(self) -> int:
        """The number of its rows that the broker confirmed."""
        return sum(map(len, self.rows.values()))


def read_claims(session: SessionView, confirmed: RowRanges, digest: str | None) -> SessionClaims:
    """Sorts the confirmed rows of a run's last session. `digest` is of what was published to it; None: not known."""
    equal = digest is not None and digest == session.digest
    received = confirmed if equal else _believed_rows(session, confirmed)
    missing = confirmed.without(received) if received is not None else RowRanges()
    differs = not (equal or missing) and None not in (digest, session.digest)
    if received is None:
        lacks_some = session.received is not None and session.received < len(confirmed)
        return SessionClaims(session, {Claim.NOTHING: confirmed}, differs and not lacks_some)
    return SessionClaims(session, {**_sorted(session, received), Claim.MISSING: missing}, differs)


def read_earlier_claims(earlier: EarlierSession, confirmed: RowRanges) -> SessionClaims:
    """Sorts the confirmed rows of a session that ended before its run: those it accounts for, all of which it received.

    What it says of later rows is left out: a later session got them again. The counts become those of its rows here.
    """
    session, rows = earlier.session, len(confirmed)
    duplicate, invalid = (_within(text, confirmed) for text in (session.duplicate_rows, session.invalid_rows))
    if duplicate is not None and invalid is not None:
        saved, duplicates = rows - len(duplicate) - len(invalid), len(duplicate)
    elif session.duplicates is not None:
        saved = min(session.saved or 0, rows)
        duplicates = rows - saved
    else:
        saved, duplicates = rows, None
    here = replace(
        session,
        received=rows,
        saved=saved,
        duplicates=duplicates,
        invalid=len(invalid or ()),
        duplicate_rows=None if duplicate is None else str(duplicate),
        invalid_rows=None if invalid is None else str(invalid),
    )
    return SessionClaims(here, _sorted(here, confirmed), vague=duplicate is None or invalid is None)


def _believed_rows(session: SessionView, confirmed: RowRanges) -> RowRanges | None:
    """Returns the rows that the session lists as received; None where it lists none, or others than it can have got."""
    rows = None if session.rows is None else RowRanges.parse(session.rows)
    if rows is None or session.received is None or rows.without(confirmed):
        return None
    again = session.received - len(rows)
    return rows if 0 <= again <= (again if session.duplicates is None else session.duplicates) else None


def _sorted(session: SessionView, received: RowRanges) -> dict[Claim, RowRanges]:
    """Sorts rows received, if the lists of those not saved agree with the session's counts."""
    duplicate, invalid = _within(session.duplicate_rows, received), _within(session.invalid_rows, received)
    again = (session.received or 0) - len(received)
    if (
        duplicate is None
        or invalid is None
        or duplicate.within(invalid)
        or len(duplicate) + again != session.duplicates
        or len(invalid) != session.invalid
        or len(received) - len(duplicate) - len(invalid) < (session.saved or 0)
    ):
        return {Claim.RECEIVED: received}
    return {
        Claim.RECEIVED: received.without(duplicate).without(invalid),
        Claim.DUPLICATE: duplicate,
        Claim.INVALID: invalid,
    }


def _within(text: str | None, rows: RowRanges) -> RowRanges | None:
    return None if text is None else RowRanges.parse(text).within(rows)
