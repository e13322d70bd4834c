from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.days import ONE_DAY, day_of, day_start, first_whole_day
from tests.usage.zones import ZONES

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  bounds are without a zone


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", date(2026, 3, 29), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # at midnight
        ("America/Sao_Paulo", date(2018, 2, 17), 25),  # at the end of the day
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # left out at the date line
        ("Pacific/Apia", date(2011, 12, 31), 24),
        ("Asia/Kathmandu", date(2026, 1, 1), 24),
    ],
)
def test_a_day_has_the_hours_of_its_zone(zone: str, day: date, hours: float) -> None:
    length = day_start(day + ONE_DAY, ZoneInfo(zone)) - day_start(day, ZoneInfo(zone))

    assert length == timedelta(hours=hours)


def test_a_day_in_kathmandu_begins_at_a_quarter_past_six_in_utc() -> None:
    assert day_start(date(2026, 1, 2), ZoneInfo("Asia/Kathmandu")) == datetime(2026, 1, 1, 18, 15, tzinfo=UTC)


@given(MOMENTS, st.sampled_from([*ZONES, "America/Havana", "America/St_Johns", "Africa/Cairo"]))
def test_every_moment_is_of_the_day_that_has_begun_and_has_not_ended(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)

    day = day_of(moment, zone)

    assert day_start(day, zone) <= moment < day_start(day + ONE_DAY, zone)


def test_a_minute_that_clocks_turn_back_over_midnight_leaves_each_moment_one_day() -> None:
    zone = ZoneInfo("America/St_Johns")  # turned back to 23:01 of the day before, at a minute past midnight
    midnight = day_start(date(2010, 11, 7), zone)

    assert [day_of(midnight + timedelta(minutes=minutes), zone).day for minutes in (-1, 0, 2, 62)] == [6, 7, 7, 7]


@given(MOMENTS, st.sampled_from(ZONES))
def test_the_first_whole_day_begins_at_a_moment_or_is_the_first_after_it(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)

    day = first_whole_day(moment, zone)

    assert day_start(day - ONE_DAY, zone) < moment <= day_start(day, zone) or day_start(day, zone) == day_start(
        day - ONE_DAY, zone
    )
