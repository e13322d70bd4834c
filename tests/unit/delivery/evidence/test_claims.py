"""Lists of rows are believed as far as the counts agree with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.evidence.claims import Claim, read_claims, read_earlier_claims
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.records import EarlierSession, SessionView

TEN = RowRanges([(1, 10)])


def sorted_rows(published: str | None = None, **told: Any) -> dict[str, str]:
    claims = read_claims(SessionView("u", **told), TEN, published)
    assert claims.confirmed == 10
    return {claim.value: str(rows) for claim, rows in claims.rows.items() if rows} | (
        {"differs": "yes"} if claims.differs else {}
    )


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        ({}, {"nothing": "1-10"}),
        ({"received": 10, "saved": 10}, {"nothing": "1-10"}),
        ({"received": 10, "rows": "1-10"}, {"received": "1-10"}),
        ({"received": 8, "rows": "1-3,6-10"}, {"received": "1-3,6-10", "missing": "4-5"}),
        # More rows than messages, or rows that were not sent.
        ({"received": 7, "rows": "1-3,6-10"}, {"nothing": "1-10"}),
        ({"received": 10, "rows": "1-9,11"}, {"nothing": "1-10"}),
        # Messages that came twice are among the duplicates, where these are told.
        ({"received": 12, "rows": "1-10"}, {"received": "1-10"}),
        ({"received": 12, "rows": "1-10", "duplicates": 2}, {"received": "1-10"}),
        ({"received": 12, "rows": "1-10", "duplicates": 1}, {"nothing": "1-10"}),
    ],
)
def test_rows_received(told: dict[str, Any], rows: dict[str, str]) -> None:
    assert sorted_rows(**told) == rows


LISTS = {
    "received": 10,
    "saved": 6,
    "duplicates": 3,
    "invalid": 1,
    "rows": "1-10",
    "duplicate_rows": "2,4-5",
    "invalid_rows": "9",
}


@pytest.mark.parametrize(
    ("changes", "believed"),
    [
        ({}, True),
        ({"saved": 5}, True),  # one of them is not explained
        ({"saved": 7}, False),
        ({"duplicates": 2}, False),
        ({"duplicates": 4}, False),
        ({"received": 11, "duplicates": 4}, True),  # one came twice
        ({"invalid": 2}, False),
        ({"invalid": None}, False),
        ({"invalid_rows": None}, False),
        ({"invalid_rows": "5", "duplicate_rows": "2,4-5"}, False),  # both
        ({"duplicate_rows": "2,4,11"}, False),
    ],
)
def test_lists_of_rows_that_were_not_saved(changes: dict[str, Any], believed: bool) -> None:
    rows = sorted_rows(**{**LISTS, **changes})
    lists = {"received": "1,3,6-8,10", "duplicate": "2,4-5", "invalid": "9"}
    assert rows == (lists if believed else {"received": "1-10"})


def test_a_digest_proves_what_was_received() -> None:
    ours, other = "0" * 32, "1" * 32
    assert sorted_rows(ours, received=10, digest=ours) == {"received": "1-10"}
    assert sorted_rows(ours, received=10, digest=other) == {"nothing": "1-10", "differs": "yes"}
    assert sorted_rows(ours, received=10, rows="1-10", digest=other) == {"received": "1-10", "differs": "yes"}
    # Where rows are missing it differs for that reason.
    assert "differs" not in sorted_rows(ours, received=9, digest=other)
    assert "differs" not in sorted_rows(ours, received=9, rows="1-9", digest=other)


@pytest.mark.parametrize(
    ("told", "counts", "rows"),
    [
        ({"saved": 4}, (4, 4, None, 0), {"received": "1-4"}),
        ({"saved": 3, "duplicates": 1}, (4, 3, 1, 0), {"received": "1-4"}),
        # It went on to row 9 before it died; a later session got those rows again.
        ({"saved": 8, "duplicates": 1}, (4, 4, 0, 0), {"received": "1-4"}),
        (
            {"saved": 7, "duplicates": 1, "invalid": 1, "duplicate_rows": "2", "invalid_rows": "9"},
            (4, 3, 1, 0),
            {"received": "1,3-4", "duplicate": "2"},
        ),
    ],
)
def test_a_session_that_ended_before_accounts_for_its_rows_alone(
    told: dict[str, Any], counts: tuple[int | None, ...], rows: dict[str, str]
) -> None:
    earlier = EarlierSession(SessionView("u", 9, **told), 1, 4)
    claims = read_earlier_claims(earlier, RowRanges([(1, 4)]))
    session = claims.session
    assert (session.received, session.saved, session.duplicates, session.invalid) == counts
    assert {claim.value: str(ranges) for claim, ranges in claims.rows.items() if ranges} == rows


numbers = st.none() | st.integers(0, 14)
lists = st.none() | st.sets(st.integers(1, 12)).map(lambda found: str(RowRanges.of(sorted(found))))


@given(numbers, numbers, numbers, numbers, lists, lists, lists, st.none() | st.just("0" * 32))
def test_every_row_stands_in_one_list_whatever_is_told(
    received: int | None,
    saved: int | None,
    duplicates: int | None,
    invalid: int | None,
    rows: str | None,
    duplicate_rows: str | None,
    invalid_rows: str | None,
    digest: str | None,
) -> None:
    session = SessionView(
        "u",
        received,
        saved,
        duplicates,
        invalid,
        digest=digest,
        rows=rows,
        duplicate_rows=duplicate_rows,
        invalid_rows=invalid_rows,
    )
    for claims in (
        read_claims(session, TEN, "0" * 32),
        read_earlier_claims(EarlierSession(session, 1, 10), TEN),
    ):
        found = [
            number for ranges in claims.rows.values() for first, last in ranges for number in range(first, last + 1)
        ]
        assert sorted(found) == [*range(1, 11)]
        assert len(claims.rows.get(Claim.INVALID, ())) <= (claims.session.invalid or 0)
