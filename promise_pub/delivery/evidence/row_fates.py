"""The fate of each confirmed row, from what its session says of it and what the table employees shows.

Rows about which the same is known form a cell: one session, one claim, one place in the table. A fate is given to whole
cells, and only where the counts leave no other: three rows whose mails are not in the table, of a consumer that received
three fewer than were confirmed, are the missing ones. Where the counts leave a choice the rows are `unknown`, and the
reason says between what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from promise_pub.delivery.evidence.claims import Claim, SessionClaims
from promise_pub.fates import Fate
from promise_pub.records import MAX_EMPLOYEE_TEXT
from promise_pub.text import counted


class InTable(StrEnum):
    """The evidence of the table employees about a row at the end of its run."""

    NEW = "new"
    """It gained the row's mail since the run began."""
    REPEAT = "repeat"
    """The mail stands on an earlier row of the file."""
    HELD = "held"
    """It had the mail before the run."""
    ABSENT = "absent"
    """It lacks the mail."""
    LONG = "long"
    """The row is longer than it takes."""
    UNSEEN = "unseen"
    """Nobody looked."""


class Outcome(NamedTuple):
    """A fate and the reason for it; a row that was saved needs none."""

    fate: Fate
    reason: str = ""


Cell = tuple[Claim, InTable]
"""All that is known of a row within its session."""

_MISSING = Outcome(Fate.MISSING, "confirmed by the broker, and not among the rows that the consumer received")
_TOO_LONG = Outcome(Fate.UNUSABLE, f"longer than the {MAX_EMPLOYEE_TEXT} characters that employees holds")
_UNUSABLE = Outcome(Fate.UNUSABLE, "the consumer received it and could not use it")
_UNSAVED = Outcome(Fate.UNSAVED, "the consumer received it and did not save it, for no known reason")
_REPEAT = Outcome(Fate.REPEAT, "an earlier row of the file has its mail")
_HELD = Outcome(Fate.HELD_BEFORE, "employees held its mail before the run")
_SAVED = Outcome(Fate.SAVED)
_DUPLICATES = {
    InTable.REPEAT: _REPEAT,
    InTable.HELD: _HELD,
    InTable.NEW: Outcome(Fate.REPEAT, "another session, or another run, saved its mail meanwhile"),
}


# What employees shows of rows that the consumer says it saved, all of them.
_DOUBTS = {
    InTable.ABSENT: "the consumer says that it saved it, and employees lacks its mail",
    InTable.HELD: "the consumer says that it saved it, and employees held its mail before the run",
    InTable.REPEAT: "the consumer says that it saved it, and an earlier row of the file has its mail",
}


def _unknown(reason: str) -> Outcome:
    return Outcome(Fate.UNKNOWN, reason)


def assign_fates(claims: SessionClaims, seen: Mapping[Cell, int]) -> dict[Cell, Outcome]:
    """Returns the fate of each cell of a session's rows. `seen` has the number of rows of each."""
    session = claims.session
    if session.received is None:
        return dict.fromkeys(seen, _unknown("the consumer does not report what it received"))
    if claims.differs:
        return dict.fromkeys(seen, _unknown("what the consumer received differs from what was published"))
    outcomes = {(claim, table): _claimed(claim, table) for claim, table in seen if claim in _SAID}
    left = {cell: rows for cell, rows in seen.items() if cell not in outcomes}
    by_table: Counter[InTable] = Counter()
    for (_, table), rows in left.items():
        by_table[table] += rows
    open_counts = _OpenCounts.of(claims, by_table)
    given = _by_counts(open_counts, by_table)
    return outcomes | {(claim, table): given[table] for claim, table in left}


_SAID = {Claim.MISSING, Claim.INVALID, Claim.DUPLICATE}


def _claimed(claim: Claim, table: InTable) -> Outcome:
    if claim is Claim.MISSING:
        return _MISSING
    if claim is Claim.INVALID:
        return _TOO_LONG if table is InTable.LONG else _UNUSABLE
    unproven = "nobody looked" if table is InTable.UNSEEN else "neither the file nor employees shows that"
    return _DUPLICATES.get(table) or _unknown(f"the consumer says that it had its mail before, and {unproven}")


class _OpenCounts(NamedTuple):
    """The session's counts of the rows that its lists leave open. None: not reported."""

    rows: int
    missing: int
    saved: int | None
    duplicates: int | None
    invalid: int | None

    @classmethod
    def of(cls, claims: SessionClaims, seen: Mapping[InTable, int]) -> _OpenCounts:
        session, lists, rows = claims.session, claims.rows, sum(seen.values())
        if claims.vague and InTable.UNSEEN not in seen:
            # It is done with all of these rows: what employees did not gain, it had already.
            saved = min(seen.get(InTable.NEW, 0), session.saved or 0)
            return cls(rows, 0, saved, rows - saved, None)
        if Claim.DUPLICATE in lists:
            return cls(rows, 0, session.saved, 0, 0)
        received = session.received or 0
        here = claims.confirmed - len(lists.get(Claim.MISSING, ()))
        again = max(0, received - here)
        duplicates = None if session.duplicates is None else max(0, session.duplicates - again)
        return cls(rows, max(0, here - received), session.saved, duplicates, session.invalid)


def _by_counts(counts: _OpenCounts, seen: Mapping[InTable, int]) -> dict[InTable, Outcome]:
    """Returns the fate of rows of which nothing is said singly, by what employees shows of them."""
    saved, new = counts.saved, seen.get(InTable.NEW, 0)
    if saved is None:
        return dict.fromkeys(seen, _unknown("the consumer does not report what it saved"))
    if counts.rows == saved:
        return {table: _unknown(_DOUBTS[table]) if table in _DOUBTS else _SAVED for table in seen}
    if InTable.UNSEEN in seen:
        return dict.fromkeys(seen, _unknown(f"the consumer says only that it saved {saved:,} of {_rows(counts.rows)}"))
    if new != saved:
        gained = f"employees gained the mails of {_rows(new)}, and the consumer says that it saved {saved:,}"
        return dict.fromkeys(seen, _unknown(gained))
    return {InTable.NEW: _SAVED, **_unsaved(counts, seen)}


def _unsaved(counts: _OpenCounts, seen: Mapping[InTable, int]) -> dict[InTable, Outcome]:
    """Returns the fate of rows that were not saved, where employees gained exactly those that were."""
    repeated = seen.get(InTable.REPEAT, 0) + seen.get(InTable.HELD, 0)
    duplicates = repeated if counts.duplicates is None else counts.duplicates
    long, absent = seen.get(InTable.LONG, 0), seen.get(InTable.ABSENT, 0)
    extra = duplicates - repeated
    rest = long + absent - counts.missing - extra
    invalid = min(long, max(0, rest)) if counts.invalid is None else counts.invalid
    shares = {_MISSING: counts.missing, _UNUSABLE: invalid - long, _UNSAVED: rest - invalid}
    # A repeat, or a row that is too long, may be the missing one, and a row that looks like it one that was dropped.
    others_missing = counts.missing and (counts.duplicates is None and repeated or counts.invalid is None and long)
    if min(extra, *shares.values()) < 0 or others_missing:
        contradiction = _unknown("the consumer's counts of what it did not save leave a choice")
        return dict.fromkeys((InTable.REPEAT, InTable.HELD, InTable.LONG, InTable.ABSENT), contradiction)
    causes = [outcome for outcome, rows in shares.items() if rows]
    if not extra and len(causes) <= 1:
        open_fate = causes[0] if causes else _UNSAVED
    else:
        words = [f"{rows:,} {outcome.fate}" for outcome, rows in shares.items() if rows]
        words += [f"{extra:,} duplicate"] if extra else []
        open_fate = _unknown(f"of {_rows(absent)} like it: {', '.join(words)}; the consumer does not say which")
    return {InTable.REPEAT: _REPEAT, InTable.HELD: _HELD, InTable.LONG: _TOO_LONG, InTable.ABSENT: open_fate}


def _rows(count: int) -> str:
    return counted(count, "row")
