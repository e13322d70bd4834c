"""Sums over the sessions of a run: only what a session accounts for counts, and what nobody told is no number."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub import consumer_totals
from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.records import EarlierSession, SessionView, add_up_sessions
from tests.run_parts import report

LAST = SessionView("last", received=30, saved=25, duplicates=3, invalid=2)
MAYBE = st.none() | st.integers(0, 1000)


def test_of_one_session_they_are_its_own_counts() -> None:
    assert report(session=LAST).totals == ConsumerTotals(30, 25, 3, 2)


def test_of_no_session_they_are_unknown() -> None:
    assert report(session=None).totals == ConsumerTotals(None, None, None, None)


def test_a_session_that_ended_counts_as_far_as_it_accounts_for_rows() -> None:
    before = SessionView("a", received=90, saved=60, duplicates=25, invalid=0)
    assert add_up_sessions(LAST, [EarlierSession(before, 1, 70)]) == ConsumerTotals(100, 85, 13, 2)
    assert add_up_sessions(None, [EarlierSession(before, 1, 70)]) == ConsumerTotals(70, 60, 10, 0)


def test_a_session_that_accounts_for_no_row_does_not_count() -> None:
    died = SessionView("a", received=90, saved=60)
    assert add_up_sessions(LAST, [EarlierSession(died, 1, 0)]) == LAST.totals


@pytest.mark.parametrize("name", ["received", "saved", "duplicates", "invalid"])
def test_what_the_last_session_does_not_report_is_unknown(name: str) -> None:
    earlier = [EarlierSession(LAST, 1, 28)]
    told = add_up_sessions(replace(LAST, **{name: None}), earlier)
    assert [getattr(told, one) is None for one in ("received", "saved", "repeats", "unusable")] == [
        name == one for one in ("received", "saved", "duplicates", "invalid")
    ]


def test_what_an_earlier_session_does_not_report_is_unknown_too() -> None:
    before = SessionView("a", received=10, saved=10)
    assert add_up_sessions(LAST, [EarlierSession(before, 1, 10)]) == ConsumerTotals(40, 35, None, None)


def test_rows_of_no_use_are_never_left_out() -> None:
    before = SessionView("a", received=10, saved=9, duplicates=0, invalid=1)
    assert EarlierSession(before, 1, 9).totals == ConsumerTotals(9, 9, 0, 1)


def test_numbers_of_rows_make_it_exact() -> None:
    session = SessionView("a", 20, 12, 4, 4, duplicate_rows="2-3,15-16", invalid_rows="5,13,20-30")
    assert EarlierSession(session, 1, 12).totals == ConsumerTotals(12, 9, 2, 1)
    told = session.totals
    assert told.within(1, 12, "2-3,15-16", "5,13,20-30") == ConsumerTotals(12, 9, 2, 1)
    assert told.within(1, 12, "", "") == ConsumerTotals(12, 12, 0, 0)


@given(MAYBE, MAYBE, MAYBE, st.integers(1, 50), st.integers(0, 50))
def test_no_more_rows_are_saved_or_repeats_than_there_are(
    saved: int | None, duplicates: int | None, invalid: int | None, first: int, more: int
) -> None:
    told = ConsumerTotals(1000, saved, duplicates, invalid).within(first, first + more, None, None)
    assert told.received == more + 1
    assert 0 <= (told.saved or 0) + (told.repeats or 0) <= more + 1
    assert 0 <= (told.unusable or 0) <= more + 1
    assert [told.saved is None, told.repeats is None, told.unusable is None] == [
        one is None for one in (saved, duplicates, invalid)
    ]


def test_the_lists_of_a_session_that_ended_are_read_once() -> None:
    count = consumer_totals._count
    count.cache_clear()
    lists = [",".join(map(str, range(first, 1_000, 2))) for first in (1, 2)]
    session = SessionView("a", 1_000, 1, 500, 499, duplicate_rows=lists[0], invalid_rows=lists[1])
    run = report(session=None, earlier=(EarlierSession(session, 1, 1_000),))
    assert run.totals == ConsumerTotals(1_000, 1, 500, 499)
    assert [run.totals.saved for _ in range(10)] == [1] * 10
    assert (count.cache_info().misses, count.cache_info().maxsize) == (2, 2_048)
