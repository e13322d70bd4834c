from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.days import day_of
from promise_pub.features.events.reports.bins import (
    MAX_BINS,
    MAX_CHOSEN,
    Bin,
    Unit,
    bin_times,
    choose_unit,
    count_bins,
    make_edges,
)
from tests.usage.zones import ZONES

ZURICH, LORD_HOWE = ZoneInfo("Europe/Zurich"), ZoneInfo("Australia/Lord_Howe")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# Clocks of Zurich are put forward on 29 March at 01:00 and back on 25 October at 01:00 UTC; those of Lord Howe back by half
# an hour on 4 April at 15:00 and forward on 3 October at 15:30 UTC.
TURNS = [datetime(2026, *turn, tzinfo=UTC) for turn in ((3, 29, 1), (10, 25, 1), (4, 4, 15), (10, 3, 15, 30))]


@st.composite
def times_at_a_turn(draw: st.DrawFn) -> Sequence[datetime]:
    turn = draw(st.sampled_from(TURNS))
    offsets = st.timedeltas(timedelta(days=-2), timedelta(days=2))
    return [turn + offset for offset in draw(st.lists(offsets, min_size=1, max_size=30))]


def utc(*clock: int) -> datetime:
    return datetime(2026, *clock, tzinfo=UTC)


def lengths(edges: Sequence[datetime]) -> list[timedelta]:
    return [after - before for before, after in pairwise(edges)]


@pytest.mark.parametrize(
    ("unit", "first", "last", "edges"),
    [
        (Unit.YEAR, utc(11, 20), utc(12, 31, 23), [datetime(y, 12, 31, 23, tzinfo=UTC) for y in (2025, 2026, 2027)]),
        (Unit.MONTH, utc(11, 20), utc(12, 1), [utc(10, 31, 23), utc(11, 30, 23), utc(12, 31, 23)]),
        (Unit.WEEK, utc(11, 20), utc(11, 22, 22), [utc(11, 15, 23), utc(11, 22, 23)]),  # 16 November is a Monday
        (Unit.DAY, utc(11, 20), utc(11, 20, 23), [utc(11, 19, 23), utc(11, 20, 23), utc(11, 21, 23)]),
        (Unit.HOUR, utc(11, 20, 9, 59), utc(11, 20, 10), [utc(11, 20, 9), utc(11, 20, 10), utc(11, 20, 11)]),
        (Unit.MINUTE, utc(11, 20, 9, 59, 59), utc(11, 20, 9, 59, 59), [utc(11, 20, 9, 59), utc(11, 20, 10)]),
    ],
)
def test_bins_are_the_periods_of_the_zone_from_the_first_time_to_the_last(
    unit: Unit, first: datetime, last: datetime, edges: Sequence[datetime]
) -> None:
    assert make_edges(first, last, unit, ZURICH) == edges


def test_days_are_as_long_as_their_clocks_go() -> None:
    assert lengths(make_edges(utc(3, 28, 12), utc(3, 30, 12), Unit.DAY, ZURICH)) == [DAY, 23 * HOUR, DAY]
    assert lengths(make_edges(utc(10, 24, 12), utc(10, 26, 12), Unit.DAY, ZURICH)) == [DAY, 25 * HOUR, DAY]
    assert lengths(make_edges(utc(4, 4), utc(4, 5), Unit.DAY, LORD_HOWE)) == [DAY, DAY + HOUR / 2]


def test_an_hour_that_comes_twice_has_two_bins_and_one_that_is_left_out_has_none() -> None:
    assert len(make_edges(utc(10, 24, 22), utc(10, 25, 22, 59), Unit.HOUR, ZURICH)) - 1 == 25
    assert len(make_edges(utc(3, 28, 23), utc(3, 29, 21, 59), Unit.HOUR, ZURICH)) - 1 == 23


def test_hours_of_a_zone_with_half_an_hour_begin_at_its_full_hours() -> None:
    # It is 10:40 in Lord Howe, whose clocks are ten hours and a half ahead in July.
    assert make_edges(utc(7, 1, 0, 10), utc(7, 1, 0, 10), Unit.HOUR, LORD_HOWE) == [
        utc(6, 30, 23, 30),
        utc(7, 1, 0, 30),
    ]


def test_a_day_that_a_country_left_out_has_no_bin() -> None:
    # Samoa went from 29 to 31 December 2011.
    apia = ZoneInfo("Pacific/Apia")
    edges = make_edges(datetime(2011, 12, 30, tzinfo=UTC), datetime(2011, 12, 31, tzinfo=UTC), Unit.DAY, apia)

    assert [day_of(edge, apia) for edge in edges] == [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]
    assert lengths(edges) == [DAY, DAY]


def test_empty_bins_between_others_are_told() -> None:
    times = [utc(11, 22, 8), utc(11, 20, 9), utc(11, 20, 23)]  # the last is on the 21st in Zurich

    assert bin_times(times, ZURICH, Unit.DAY) == [
        Bin(utc(11, 19, 23), utc(11, 20, 23), 1),
        Bin(utc(11, 20, 23), utc(11, 21, 23), 1),
        Bin(utc(11, 21, 23), utc(11, 22, 23), 1),
    ]
    assert [one.events for one in bin_times([utc(11, 20), utc(11, 23)], ZURICH, Unit.DAY)] == [1, 0, 0, 1]
    assert bin_times([], ZURICH) == []


@pytest.mark.parametrize(
    ("length", "unit"),
    [
        (timedelta(0), Unit.MINUTE),
        (timedelta(minutes=199), Unit.MINUTE),
        (timedelta(minutes=200), Unit.HOUR),
        (timedelta(hours=200), Unit.DAY),
        (timedelta(days=200), Unit.WEEK),
        (timedelta(weeks=200), Unit.MONTH),
        (timedelta(days=366 * 17), Unit.YEAR),
        (timedelta(days=366 * 300), Unit.YEAR),
    ],
)
def test_the_finest_unit_with_few_bins_is_chosen(length: timedelta, unit: Unit) -> None:
    assert choose_unit(utc(1, 1), utc(1, 1) + length, ZoneInfo("UTC")) is unit


def test_two_thousand_bins_are_made_and_not_one_more() -> None:
    first, last = utc(1, 1), utc(1, 1) + timedelta(minutes=1_999)

    assert len(make_edges(first, last, Unit.MINUTE, ZURICH)) == MAX_BINS + 1
    with pytest.raises(ValueError, match="By minute that would be 2,001 bins, and 2,000 are the most"):
        make_edges(first, last + timedelta(minutes=1), Unit.MINUTE, ZURICH)
    with pytest.raises(ValueError, match="Choose wider bins"):
        bin_times([utc(1, 1), datetime(9000, 1, 1, tzinfo=UTC)], ZURICH)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (utc(1, 2), utc(1, 1)),
        (utc(1, 1), datetime(9999, 12, 31, tzinfo=UTC)),
        (datetime(1, 1, 1, tzinfo=UTC), utc(1, 1)),
    ],
)
@pytest.mark.parametrize("unit", Unit)
def test_times_in_the_wrong_order_or_at_an_end_of_the_calendar_are_refused(
    first: datetime, last: datetime, unit: Unit
) -> None:
    with pytest.raises(ValueError, match="years 2 to 9998"):
        make_edges(first, last, unit, LORD_HOWE)


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_bins_reach_the_ends_of_the_calendar(unit: Unit, zone: str) -> None:
    for moment in (datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 29, 23, 59, 59, tzinfo=UTC)):
        start, end = make_edges(moment, moment, unit, ZoneInfo(zone))
        assert start <= moment < end


@given(times_at_a_turn(), st.sampled_from(Unit), st.sampled_from([ZURICH, LORD_HOWE, *map(ZoneInfo, ZONES)]))
def test_every_time_is_in_one_bin_also_where_clocks_are_turned(
    times: Sequence[datetime], unit: Unit, zone: ZoneInfo
) -> None:
    if count_bins(min(times), max(times), unit, zone) > MAX_BINS:
        unit = Unit.HOUR
    bins = bin_times(times, zone, unit)

    assert [one.events for one in bins] == [sum(one.start <= at < one.end for at in times) for one in bins]
    assert sum(one.events for one in bins) == len(times)
    assert all(before.end == after.start for before, after in pairwise(bins))
    assert bins[0].events and bins[-1].events
    if unit in (Unit.DAY, Unit.WEEK, Unit.MONTH, Unit.YEAR):
        days = [day_of(one.start, zone) for one in bins]
        assert all(day_of(one.end - timedelta(microseconds=1), zone) < day_of(one.end, zone) for one in bins)
        assert unit is not Unit.WEEK or all(day.weekday() == 0 for day in days)
        assert unit is not Unit.MONTH or all(day.day == 1 for day in days)
    else:
        width = HOUR if unit is Unit.HOUR else HOUR / 60
        assert all(one.end - one.start == width for one in bins)


@given(times_at_a_turn(), st.sampled_from([ZURICH, LORD_HOWE]))
def test_a_unit_that_is_chosen_has_few_bins_and_the_next_finer_has_many(
    times: Sequence[datetime], zone: ZoneInfo
) -> None:
    chosen = choose_unit(min(times), max(times), zone)
    finer = [*Unit][[*Unit].index(chosen) + 1 :]

    assert count_bins(min(times), max(times), chosen, zone) <= MAX_CHOSEN
    assert all(count_bins(min(times), max(times), unit, zone) > MAX_CHOSEN for unit in finer)
