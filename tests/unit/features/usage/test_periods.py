from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.usage.periods import cut, floor, name_of, tell_periods, tell_windows
from promise_pub.features.usage.records import Action, Aggregate, Question

DAYS = st.dates(date(1990, 1, 1), date(2060, 1, 1))
AGGREGATES = st.sampled_from(Aggregate)


def asked(aggregate: Aggregate, start: date, end: date, rolling: int = 0) -> Question:
    return Question(action=Action.LOGIN, aggregate=aggregate, rolling=rolling, start=start, end=end)


@pytest.mark.parametrize(
    ("aggregate", "name", "start", "end"),
    [
        (Aggregate.DAY, "2026-01-01", date(2026, 1, 1), date(2026, 1, 2)),
        (Aggregate.WEEK, "2026-W01", date(2025, 12, 29), date(2026, 1, 5)),  # its Thursday is in 2026
        (Aggregate.MONTH, "2026-01", date(2026, 1, 1), date(2026, 2, 1)),
        (Aggregate.QUARTER, "2026-Q1", date(2026, 1, 1), date(2026, 4, 1)),
        (Aggregate.YEAR, "2026", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_a_period_is_named_after_itself_and_begins_at_its_first_day(
    aggregate: Aggregate, name: str, start: date, end: date
) -> None:
    assert cut(aggregate, date(2026, 1, 1), date(2026, 1, 2)) == [(name, start, end)]


@pytest.mark.parametrize(
    ("day", "name"), [(date(2026, 12, 31), "2026-Q4"), (date(2026, 9, 1), "2026-Q3"), (date(2026, 4, 1), "2026-Q2")]
)
def test_quarters_are_those_of_the_calendar(day: date, name: str) -> None:
    assert name_of(Aggregate.QUARTER, floor(Aggregate.QUARTER, day)) == name


@given(AGGREGATES, DAYS, st.integers(1, 800))
def test_periods_follow_each_other_and_cover_the_range(aggregate: Aggregate, start: date, days: int) -> None:
    end = start + timedelta(days=days)

    found = cut(aggregate, start, end)

    assert found[0][1] <= start < found[0][2]
    assert found[-1][1] < end <= found[-1][2]
    assert all(before[2] == after[1] for before, after in zip(found, found[1:], strict=False))
    assert len({name for name, _, _ in found}) == len(found)
    assert all(
        floor(aggregate, first) == floor(aggregate, after - timedelta(days=1)) == first for _, first, after in found
    )


def test_a_range_without_days_has_no_periods() -> None:
    assert cut(Aggregate.WEEK, date(2026, 1, 2), date(2026, 1, 2)) == []


def test_periods_after_the_last_year_cannot_be_cut() -> None:
    with pytest.raises(OverflowError):
        cut(Aggregate.YEAR, date(9999, 1, 1), date(9999, 2, 1))


def test_periods_without_anybody_are_told_at_both_ends_and_between() -> None:
    question = asked(Aggregate.MONTH, date(2026, 1, 1), date(2026, 6, 1))
    counted = [(date(2026, 2, 1), 3, 4), (date(2026, 4, 1), 1, 1)]

    told = tell_periods(question, counted, [])

    assert [(period.name, period.users, period.actions) for period in told] == [
        ("2026-01", 0, 0),
        ("2026-02", 3, 4),
        ("2026-03", 0, 0),
        ("2026-04", 1, 1),
        ("2026-05", 0, 0),
    ]


def test_a_period_that_the_range_cuts_is_not_complete() -> None:
    start, end = date(2026, 1, 7), date(2026, 1, 22)
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(31)]

    told = tell_periods(asked(Aggregate.WEEK, start, end), [], days)

    assert [period.complete for period in told] == [False, True, False]


def test_a_period_with_a_day_that_is_not_condensed_to_its_end_is_not_complete() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(59) if n != 40]

    told = tell_periods(asked(Aggregate.MONTH, date(2026, 1, 1), date(2026, 4, 1)), [], days)

    assert [period.complete for period in told] == [True, False, False]


def test_a_window_ends_with_its_day_and_goes_on_from_the_last_change_before_the_range() -> None:
    question = asked(Aggregate.DAY, date(2026, 1, 10), date(2026, 1, 13), rolling=7)
    days = [date(2026, 1, 5) + timedelta(days=n) for n in range(8)]

    told = tell_windows(question, [(date(2026, 1, 6), 5, 9), (date(2026, 1, 12), 2, 2)], days)

    assert [(one.name, one.start, one.end, one.users, one.actions, one.complete) for one in told] == [
        ("2026-01-10", date(2026, 1, 4), date(2026, 1, 11), 5, 9, False),
        ("2026-01-11", date(2026, 1, 5), date(2026, 1, 12), 5, 9, True),
        ("2026-01-12", date(2026, 1, 6), date(2026, 1, 13), 2, 2, True),
    ]
