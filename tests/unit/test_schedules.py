"""Schedules of cron, through nights on which clocks are turned, compared with each minute looked at by itself."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from promise_pub.schedules import Schedule

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
AROUND = 70  # minutes: the hour that comes twice, and the one before
# Clocks are turned at two, at midnight, at the end of the day, and by half an hour; forward in one hemisphere while they
# are turned back in the other.
NIGHTS = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "America/Havana": ("2026-03-08", "2026-11-01"),
    "America/Santiago": ("2026-04-05", "2026-09-06"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
}
TEXTS = (
    "30 2 * * *",
    "0,30 2 * * *",
    "15 0 * * *",
    "45 23 * * *",
    "45 1 * * *",
    "*/20 2 * * *",
    "*/10 1,2,3 * * *",
    "*/15 0 * * *",
    "*/15 23 * * *",
    "0 * * * *",
    "*/7 * * * *",
    "30 */2 * * *",
    "30 1-3 * * sun",
    "*/10 * * * sat",
    "*/10 * * * sun",
    "5 0 1 * *",
)


def minutes(zone: str, night: str) -> list[datetime]:
    """Returns a day of minutes, in the middle of which clocks are turned."""
    midnight = datetime.fromisoformat(night).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    near = (midnight + n * MINUTE for n in range(-180, 300))
    before = (midnight - DAY / 4).astimezone(ZoneInfo(zone)).utcoffset()
    turn = next(at for at in near if at.astimezone(ZoneInfo(zone)).utcoffset() != before)
    return [turn + n * MINUTE for n in range(-720, 720)]


@cache
def matches(text: str, wall: datetime) -> bool:
    """Tells by the fields alone."""
    return next(CronSim(text, wall - MINUTE)) == wall


def due_minutes(text: str, zone: str, night: str) -> list[datetime]:
    """Looks at each minute by itself, as cron of Debian does."""
    is_fixed = not any(field.startswith("*") for field in text.split()[:2])
    found = []
    before = None
    for at in minutes(zone, night):
        local = at.astimezone(ZoneInfo(zone))
        wall = local.replace(tzinfo=None, fold=0)
        if is_fixed:
            # The walls that this minute stands for: its own, and those that were left out before it.
            first = min(before + MINUTE, wall) if before else wall
            is_due = not local.fold and any(
                matches(text, first + n * MINUTE) for n in range((wall - first) // MINUTE + 1)
            )
        else:
            is_due = matches(text, wall)
        if is_due:
            found.append(at)
        before = wall
    return found


@pytest.mark.parametrize(("zone", "night"), [(zone, night) for zone, nights in NIGHTS.items() for night in nights])
@pytest.mark.parametrize("text", TEXTS)
def test_each_due_time_comes_once_wherever_it_is_begun(zone: str, night: str, text: str) -> None:
    schedule = Schedule(text, ZoneInfo(zone))
    expected = due_minutes(text, zone, night)
    for at in minutes(zone, night)[720 - AROUND : 720 + AROUND]:
        place = bisect_right(expected, at)
        for moment in (at, at + timedelta(seconds=30, microseconds=7))[: 1 + (place % 2)]:
            if place:
                assert schedule.last_due(moment) == expected[place - 1]
            if place < len(expected):
                assert schedule.next_due(moment) == expected[place]


@pytest.mark.parametrize(("zone", "night"), [(zone, night) for zone, nights in NIGHTS.items() for night in nights])
@pytest.mark.parametrize("text", ["30 2 * * *", "*/7 * * * *", "*/15 0 * * *"])
def test_times_that_were_missed_are_those_between(zone: str, night: str, text: str) -> None:
    expected, looked_at = due_minutes(text, zone, night), minutes(zone, night)
    until = looked_at[-1]
    for after in looked_at[::60]:
        assert Schedule(text, ZoneInfo(zone)).missed(after, until) == sum(after < due < until for due in expected)


def test_no_more_than_a_thousand_missed_times_are_counted() -> None:
    until = datetime(2026, 11, 30, tzinfo=UTC)
    assert Schedule("* * * * *").missed(until - 1001 * MINUTE, until) == 1000
    assert Schedule("* * * * *").missed(until - 1002 * MINUTE, until) == 1001
    assert Schedule("* * * * *").missed(until - 1000 * DAY, until) == 1001
    assert Schedule("* * * * *").missed(until, until) == 0


@pytest.mark.parametrize("text", ["", "61 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *", "@daily", "a b c d e"])
def test_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no schedule"):
        Schedule(text)


def test_a_day_that_a_zone_left_out_is_due_at_its_end() -> None:
    apia = Schedule("30 1 * * *", ZoneInfo("Pacific/Apia"))
    assert apia.last_due(datetime(2011, 12, 30, 10, tzinfo=UTC)) == datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert apia.missed(datetime(2011, 12, 29, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)) == 4


def test_a_schedule_is_told_in_words() -> None:
    assert Schedule("30 1 * * *").words == "At 01:30 every day"
