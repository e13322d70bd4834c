from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from promise_pub.errors import BadParameter
from promise_pub.features.usage.planning import Asked, Known, Plan, next_after, plan

TODAY = date(2026, 11, 25)
FIRST = date(2026, 1, 1)
SETTLE = 2
KNOWN = Known(today=TODAY, next=TODAY - timedelta(days=2), oldest=FIRST, first=FIRST, whole_from=None)


def planned(asked: Asked, known: Known = KNOWN, keep: int = 1100) -> Plan:
    return plan(asked, known, SETTLE, keep)


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_a_run_goes_on_from_the_first_day_that_is_not_final_to_today() -> None:
    found = planned(Asked())

    assert (found.first, found.last, found.total) == (days_ago(2), TODAY, 3)


def test_the_first_run_begins_at_the_first_day() -> None:
    assert planned(Asked(), replace(KNOWN, next=None, oldest=None)).first == FIRST


def test_the_first_run_of_a_new_server_begins_today() -> None:
    found = planned(Asked(), replace(KNOWN, next=None, oldest=None, first=TODAY))

    assert (found.first, found.last) == (TODAY, TODAY)


def test_nothing_is_condensed_before_the_first_day_of_the_configuration() -> None:
    assert planned(Asked(), replace(KNOWN, next=None, oldest=None, first=days_ago(-7))).total == 0


def test_start_and_end_are_both_included() -> None:
    found = planned(Asked(start=days_ago(20), end=days_ago(10)))

    assert (found.first, found.last, found.total) == (days_ago(20), days_ago(10), 11)


def test_a_range_of_one_day_has_that_day() -> None:
    assert planned(Asked(start=TODAY, end=TODAY)).total == 1


@pytest.mark.parametrize(
    "asked",
    [
        Asked(end=days_ago(-1)),
        Asked(start=days_ago(-1)),
        Asked(start=days_ago(3), end=days_ago(4)),
        Asked(end=days_ago(3)),  # before the first day that is not final
    ],
)
def test_a_range_that_ends_after_today_or_before_it_starts_is_refused(asked: Asked) -> None:
    with pytest.raises(BadParameter):
        planned(asked)


@pytest.mark.parametrize("start", [days_ago(1), days_ago(2), days_ago(3), days_ago(300)])
@pytest.mark.parametrize("end", [TODAY, days_ago(1)])
def test_no_range_moves_the_first_day_that_is_not_final_over_a_gap_or_back(start: date, end: date) -> None:
    known = replace(KNOWN, next=days_ago(100))
    found = planned(Asked(start=start, end=end), known)
    reached = known.next
    assert reached

    for n in range(found.total):
        day = found.first + timedelta(days=n)
        following = next_after(reached, day, TODAY, SETTLE)
        assert following == (day + timedelta(days=1) if day == reached and day < days_ago(2) else reached)
        reached = following

    assert reached == (days_ago(2) if start <= days_ago(100) else days_ago(100))


def test_a_day_is_final_once_it_ended_two_days_ago() -> None:
    assert [next_after(day, day, TODAY, SETTLE) == day for day in (days_ago(3), days_ago(2), TODAY)] == [
        False,
        True,
        True,
    ]


def test_with_reset_every_day_is_condensed_anew_from_the_oldest_on() -> None:
    assert planned(Asked(reset=True)).first == FIRST
    assert planned(Asked(reset=True), replace(KNOWN, oldest=days_ago(900))).first == days_ago(900)


def test_with_reset_and_start_the_days_from_there_on_are_condensed_anew() -> None:
    assert planned(Asked(start=days_ago(50), reset=True)).first == days_ago(50)


@pytest.mark.parametrize("asked", [Asked(reset=True), Asked(start=FIRST)])
def test_days_that_the_journal_does_not_have_whole_stay(asked: Asked) -> None:
    found = planned(asked, replace(KNOWN, whole_from=days_ago(90)))

    assert (found.first, found.left) == (days_ago(90), FIRST)


def test_days_that_are_too_old_to_be_kept_are_not_condensed() -> None:
    found = planned(Asked(start=date.min), keep=30)

    assert (found.first, found.left) == (days_ago(30), date.min)


def test_days_that_were_swept_before_they_were_condensed_are_passed_over_and_told() -> None:
    found = planned(Asked(), replace(KNOWN, next=days_ago(200), whole_from=days_ago(90)))

    assert (found.first, found.next, found.left) == (days_ago(90), days_ago(90), days_ago(200))


def test_a_day_that_a_clock_kept_which_was_a_year_ahead_is_corrected() -> None:
    found = planned(Asked(), replace(KNOWN, next=TODAY + timedelta(days=365)))

    assert found.was_ahead
    assert (found.first, found.last, found.next) == (days_ago(2), TODAY, days_ago(2))
    assert not planned(Asked()).was_ahead
