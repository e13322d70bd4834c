"""The fate of each cell of a session's rows: as far as the counts leave no other, and never further."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.evidence.claims import Claim, SessionClaims
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.row_fates import Cell, InTable, assign_fates
from promise_pub.fates import Fate
from promise_pub.records import SessionView

NEW, REPEAT, HELD, ABSENT, LONG, UNSEEN = InTable


def claims(seen: dict[Cell, int], session: SessionView, *, differs: bool = False) -> SessionClaims:
    """As many rows of each claim as there are in its cells, and a list of duplicates where one is claimed."""
    rows: dict[Claim, RowRanges] = {}
    at = 1
    for (claim, _), count in seen.items():
        ranges = [*rows.get(claim, RowRanges()), (at, at + count - 1)] if count else []
        rows[claim] = RowRanges(ranges)
        at += count
    return SessionClaims(session, rows, differs)


def counted(table: dict[InTable, int], *, claim: Claim = Claim.NOTHING, **told: Any) -> dict[InTable, Fate]:
    """The fates by what employees shows, of a consumer that tells these counts alone."""
    seen = {(claim, shown): rows for shown, rows in table.items()}
    given_to = assign_fates(claims(seen, SessionView("u", **told)), seen)
    return {shown: outcome.fate for (_, shown), outcome in given_to.items()}


@pytest.mark.parametrize(
    ("table", "told", "fates"),
    [
        # All saved: nothing else is looked at, but for a table that lacks what was saved.
        ({UNSEEN: 9}, {"received": 9, "saved": 9}, {UNSEEN: Fate.SAVED}),
        ({NEW: 8, ABSENT: 1}, {"received": 9, "saved": 9}, {NEW: Fate.SAVED, ABSENT: Fate.UNKNOWN}),
        # Not told.
        ({UNSEEN: 9}, {}, {UNSEEN: Fate.UNKNOWN}),
        ({UNSEEN: 9}, {"received": 9}, {UNSEEN: Fate.UNKNOWN}),
        ({UNSEEN: 9}, {"received": 9, "saved": 8}, {UNSEEN: Fate.UNKNOWN}),
        # Repeats explain what was not saved.
        (
            {NEW: 5, REPEAT: 3, HELD: 1},
            {"received": 9, "saved": 5},
            {NEW: Fate.SAVED, REPEAT: Fate.REPEAT, HELD: Fate.HELD_BEFORE},
        ),
        # One cause is left for the rows whose mails are not there.
        ({NEW: 5, ABSENT: 2}, {"received": 7, "saved": 5}, {NEW: Fate.SAVED, ABSENT: Fate.UNSAVED}),
        ({NEW: 5, ABSENT: 2}, {"received": 5, "saved": 5}, {NEW: Fate.SAVED, ABSENT: Fate.MISSING}),
        (
            {NEW: 5, ABSENT: 2},
            {"received": 7, "saved": 5, "duplicates": 0, "invalid": 2},
            {NEW: Fate.SAVED, ABSENT: Fate.UNUSABLE},
        ),
        ({NEW: 5, LONG: 2}, {"received": 7, "saved": 5}, {NEW: Fate.SAVED, LONG: Fate.UNUSABLE}),
        (
            {NEW: 5, REPEAT: 1, ABSENT: 2, LONG: 1},
            {"received": 7, "saved": 5, "duplicates": 1, "invalid": 1},
            {NEW: Fate.SAVED, REPEAT: Fate.REPEAT, ABSENT: Fate.MISSING, LONG: Fate.UNUSABLE},
        ),
        # A repeat may be missing, and a row of the others dropped: the counts are the same.
        (
            {NEW: 5, REPEAT: 1, ABSENT: 2},
            {"received": 6, "saved": 5},
            {NEW: Fate.SAVED, REPEAT: Fate.UNKNOWN, ABSENT: Fate.UNKNOWN},
        ),
        (
            {NEW: 5, LONG: 1, ABSENT: 2},
            {"received": 6, "saved": 5, "duplicates": 0},
            {NEW: Fate.SAVED, LONG: Fate.UNKNOWN, ABSENT: Fate.UNKNOWN},
        ),
        # Two are.
        ({NEW: 5, ABSENT: 2}, {"received": 6, "saved": 5}, {NEW: Fate.SAVED, ABSENT: Fate.UNKNOWN}),
        (
            {NEW: 5, ABSENT: 3},
            {"received": 8, "saved": 5, "duplicates": 0, "invalid": 1},
            {NEW: Fate.SAVED, ABSENT: Fate.UNKNOWN},
        ),
        # The consumer says of more rows than are known to repeat that they do.
        (
            {NEW: 5, REPEAT: 1, ABSENT: 2},
            {"received": 8, "saved": 5, "duplicates": 3, "invalid": 0},
            {NEW: Fate.SAVED, REPEAT: Fate.REPEAT, ABSENT: Fate.UNKNOWN},
        ),
        # Or of fewer: some were lost, and which is open.
        (
            {NEW: 5, REPEAT: 3},
            {"received": 8, "saved": 5, "duplicates": 1, "invalid": 0},
            {NEW: Fate.SAVED, REPEAT: Fate.UNKNOWN},
        ),
        # The table gained other rows than it says it saved.
        ({NEW: 6, ABSENT: 2}, {"received": 8, "saved": 5}, {NEW: Fate.UNKNOWN, ABSENT: Fate.UNKNOWN}),
    ],
)
def test_counts_alone(table: dict[InTable, int], told: dict[str, int], fates: dict[InTable, Fate]) -> None:
    assert counted(table, **told) == fates


@pytest.mark.parametrize(
    ("claim", "shown", "fate"),
    [
        (Claim.MISSING, UNSEEN, Fate.MISSING),
        (Claim.INVALID, ABSENT, Fate.UNUSABLE),
        (Claim.INVALID, LONG, Fate.UNUSABLE),
        (Claim.INVALID, UNSEEN, Fate.UNUSABLE),
        (Claim.DUPLICATE, REPEAT, Fate.REPEAT),
        (Claim.DUPLICATE, HELD, Fate.HELD_BEFORE),
        (Claim.DUPLICATE, NEW, Fate.REPEAT),
        (Claim.DUPLICATE, ABSENT, Fate.UNKNOWN),
        (Claim.DUPLICATE, UNSEEN, Fate.UNKNOWN),
    ],
)
def test_rows_that_are_listed(claim: Claim, shown: InTable, fate: Fate) -> None:
    seen = {(Claim.RECEIVED, NEW): 5, (claim, shown): 2}
    session = SessionView("u", 7, 5, 2 * (claim is Claim.DUPLICATE), 2 * (claim is Claim.INVALID))
    outcomes = assign_fates(claims(seen, session), seen)
    assert outcomes[claim, shown].fate is fate
    assert outcomes[claim, shown].reason
    assert outcomes[Claim.RECEIVED, NEW] == (Fate.SAVED, "")


def test_nothing_is_certain_where_something_else_was_received() -> None:
    seen = {(Claim.RECEIVED, UNSEEN): 5}
    outcomes = assign_fates(claims(seen, SessionView("u", 5, 5), differs=True), seen)
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.UNKNOWN}


def test_lists_that_leave_rows_over_say_how_many_were_not_saved() -> None:
    seen = {(Claim.RECEIVED, NEW): 5, (Claim.RECEIVED, ABSENT): 1, (Claim.DUPLICATE, REPEAT): 1}
    outcomes = assign_fates(claims(seen, SessionView("u", 7, 5, 1, 0)), seen)
    assert outcomes[Claim.RECEIVED, ABSENT].fate is Fate.UNSAVED


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([one for one in Claim if one is not Claim.NOTHING]), st.sampled_from(InTable)),
        st.integers(1, 5),
    )
    | st.dictionaries(st.tuples(st.just(Claim.NOTHING), st.sampled_from(InTable)), st.integers(1, 5)),
    st.tuples(*[st.none() | st.integers(0, 12)] * 4),
)
def test_the_sums_never_say_more_than_the_report(seen: dict[Cell, int], told: tuple[int | None, ...]) -> None:
    """Whatever a consumer tells: each row has a fate, and no fate that it counts has more rows than it counts."""
    received, saved, duplicates, invalid = told
    session = SessionView("u", received, saved, duplicates, invalid)
    outcomes = assign_fates(claims(seen, session), seen)
    assert outcomes.keys() == seen.keys()
    by_claim: Counter[Claim] = Counter()
    for (claim, _), rows in seen.items():
        by_claim[claim] += rows
    fates: Counter[Fate] = Counter()
    for cell, outcome in outcomes.items():
        fates[outcome.fate] += seen[cell]
        assert outcome.reason or outcome.fate is Fate.SAVED
    assert fates.total() == sum(seen.values())
    assert fates[Fate.SAVED] <= (saved or 0)
    if Claim.NOTHING in by_claim and received is not None:
        assert fates[Fate.MISSING] <= max(0, by_claim[Claim.NOTHING] - received)
        if not fates[Fate.UNKNOWN]:
            assert fates[Fate.SAVED] == saved
