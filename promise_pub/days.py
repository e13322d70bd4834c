"""Days of a time zone, and the moments at which they begin. Pure.

A day lasts from its first midnight to that of the next day: 23 to 25 hours mostly, none where a country crossed the date line.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

ONE_DAY = timedelta(days=1)


def day_start(day: date, zone: tzinfo) -> datetime:
    """Returns the moment, in UTC, at which a day begins. A midnight that does not exist is the moment of the turn."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Returns the day that an aware moment belongs to."""
    day = moment.astimezone(zone).date()
    # Where clocks are turned back over midnight, they show the old day once more after the next one has begun.
    return day + ONE_DAY if day_start(day + ONE_DAY, zone) <= moment else day


def first_whole_day(since: datetime, zone: tzinfo) -> date:
    """Returns the first day that begins at a moment or after it."""
    day = day_of(since, zone)
    return day if day_start(day, zone) >= since else day + ONE_DAY
