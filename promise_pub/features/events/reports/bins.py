"""Bins of a histogram: their edges, as the calendar and the clocks of a zone go, and the events between them. Pure.

Years, months, weeks (from Monday) and days are those of the zone, however long they are. Hours and minutes are of absolute
time, from a full hour or minute of the zone on: where clocks are turned, the others are as long as ever.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum, auto
from itertools import groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from promise_pub.days import day_of, day_start

MAX_BINS = 2_000
MAX_CHOSEN = 200
"""Bins that are asked for by none are not more than these, if wider ones are to be had."""

# Every period of a time between these has a start, and one after it, that a calendar knows in every zone.
_BEGINNING, _END = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 30, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Unit(StrEnum):
    """The width of bins, from the widest to the finest."""

    YEAR = auto()
    MONTH = auto()
    WEEK = auto()
    DAY = auto()
    HOUR = auto()
    MINUTE = auto()


_WIDTHS = {Unit.HOUR: timedelta(hours=1), Unit.MINUTE: timedelta(minutes=1)}


class Bin(NamedTuple):
    """The events from `start`, in UTC, to before `end`."""

    start: datetime
    end: datetime
    events: int


def count_bins(first: datetime, last: datetime, unit: Unit, zone: ZoneInfo) -> int:
    """Returns the number of bins from that of `first` to that of `last`. Raises ValueError, with a complaint for people, for
    times in the wrong order, and for such as no calendar has a year around."""
    if not _BEGINNING <= first <= last < _END:
        raise ValueError("A histogram begins before it ends, and both are in the years 2 to 9998.")
    if width := _WIDTHS.get(unit):
        return (last - _floor(first, width, zone)) // width + 1
    return _number(day_of(last, zone), unit) - _number(day_of(first, zone), unit) + 1


def choose_unit(first: datetime, last: datetime, zone: ZoneInfo) -> Unit:
    """Returns the finest unit with at most MAX_CHOSEN bins, or else years. Raises ValueError as `count_bins` does."""
    fitting = (unit for unit in reversed(Unit) if count_bins(first, last, unit, zone) <= MAX_CHOSEN)
    return next(fitting, Unit.YEAR)


def make_edges(first: datetime, last: datetime, unit: Unit, zone: ZoneInfo) -> Sequence[datetime]:
    """Returns the edges, in UTC, of all bins from that of `first` to that of `last`, each later than the one before: one
    edge more than there are bins. A day that a country left out has no bin.

    Raises ValueError, with a complaint for people, for more than MAX_BINS, and as `count_bins` does.
    """
    count = count_bins(first, last, unit, zone)
    if count > MAX_BINS:
        raise ValueError(
            f"By {unit} that would be {count:,} bins, and {MAX_BINS:,} are the most. Choose wider bins, or a shorter time."
        )
    if width := _WIDTHS.get(unit):
        start = _floor(first, width, zone)
        return [start + n * width for n in range(count + 1)]
    number = _number(day_of(first, zone), unit)
    starts = (day_start(_first_day(n, unit), zone) for n in range(number, number + count + 1))
    return [start for start, _ in groupby(starts)]


def bin_times(times: Iterable[datetime], zone: ZoneInfo, unit: Unit | None = None) -> Sequence[Bin]:
    """Counts times, in any order, by bins of a unit, empty ones included; without a unit, by the one that is chosen. It
    keeps 8 bytes of each. Raises ValueError as `make_edges` does."""
    kept = array("q", ((at - _EPOCH) // _MICROSECOND for at in times))
    if not kept:
        return []
    first, last = (_EPOCH + number * _MICROSECOND for number in (min(kept), max(kept)))
    edges = make_edges(first, last, unit or choose_unit(first, last, zone), zone)
    numbers = [(edge - _EPOCH) // _MICROSECOND for edge in edges]
    counts = [0] * (len(edges) - 1)
    for number in kept:
        counts[bisect_right(numbers, number) - 1] += 1
    return [Bin(start, end, events) for (start, end), events in zip(pairwise(edges), counts, strict=True)]


def _floor(moment: datetime, width: timedelta, zone: ZoneInfo) -> datetime:
    """Returns the last full hour or minute, as the clocks of the zone go at that moment."""
    clock = moment.astimezone(zone).replace(tzinfo=UTC)
    return moment - (clock - _EPOCH) % width


def _number(day: date, unit: Unit) -> int:
    """Numbers the periods of a unit."""
    match unit:
        case Unit.YEAR:
            return day.year
        case Unit.MONTH:
            return day.year * 12 + day.month - 1
        case Unit.WEEK:
            # The first day of the calendar is a Monday, and has the number 1.
            return (day.toordinal() - 1) // 7
    return day.toordinal()


def _first_day(number: int, unit: Unit) -> date:
    match unit:
        case Unit.YEAR:
            return date(number, 1, 1)
        case Unit.MONTH:
            return date(number // 12, number % 12 + 1, 1)
        case Unit.WEEK:
            return date.fromordinal(number * 7 + 1)
    return date.fromordinal(number)
