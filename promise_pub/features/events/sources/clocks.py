"""Times as files tell them: without a zone, without a year, as numbers. None gets further without a zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.sources import NoRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_SECONDS = 253_402_300_800  # from EPOCH to the year 10,000

MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
"""Months, as logs name them."""

MAX_DIGITS = 40  # characters of a number of seconds; nanoseconds take 20

_NOT_KNOWN = "the time is not between 1970 and the year 10,000"


def first_year(months: Iterable[int], modified: datetime) -> int:
    """Returns the year of the first of some times without one, whose months follow each other as in their file.

    The last one has the latest year in which its month is not after the one in which the file was changed last, give or take
    a day. A step back by more than a month begins a new year; one from January to December is a line out of order.
    """
    turns, month = 0, 0
    for following in months:
        turns += _turn(month, following)
        month = following
    latest = modified + timedelta(days=1)
    return latest.year - turns - (month > latest.month)


def _turn(month: int, following: int) -> int:
    """Returns 1 for a step into the next year, -1 for one back into the year before, as lines out of order take it, or 0."""
    if not month:
        return 0
    if month - following > 1:
        return 1
    return -1 if following - month == 11 else 0


class FileClock:
    """The times of one file, whose records come in their order.

    `year` is that of the first time without one, None where there are none; `state` is what an earlier reading left, and
    goes before it. Every method raises NoRecord for a time that is not after 1970 and before the year 10,000.
    """

    def __init__(self, zone: ZoneInfo, year: int | None = None, state: Mapping[str, Any] | None = None) -> None:
        self._zone = zone
        self._year = year
        self._month = 0
        self._last: datetime | None = None
        self._second_pass = False
        if state:
            self._year, self._month = state["year"], state["month"]
            self._last = datetime.fromisoformat(state["last"]) if state["last"] else None
            self._second_pass = state["second_pass"]

    @property
    def state(self) -> Mapping[str, Any]:
        """The position in time that a later reading of the file goes on from, as JSON can show it."""
        return {
            "year": self._year,
            "month": self._month,
            "last": self._last.isoformat() if self._last else None,
            "second_pass": self._second_pass,
        }

    def at(self, naive: datetime) -> datetime:
        """Returns a time of the file's zone.

        An hour that comes twice is taken for its second pass once times have stepped back in it by 30 to 90 minutes, until
        it is over; where clocks are turned by less, by as much less. Where they were put forward over a time, it is as much
        later, as a clock shows that was put forward.
        """
        first, second = naive.replace(tzinfo=self._zone, fold=0), naive.replace(tzinfo=self._zone, fold=1)
        turned_back = _turned_back(first, second)
        if turned_back <= timedelta(0):
            self._second_pass = False
        elif self._last and turned_back <= 2 * (self._last - naive) <= 3 * turned_back:
            self._second_pass = True
        self._last = naive
        return _known(second if self._second_pass else first)

    def in_year(
        self, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
    ) -> datetime:
        """Returns a time without a year, in the year that the file has got to."""
        if self._year is None:
            raise NoRecord("the year is not known")
        turn = _turn(self._month, month)
        year = self._year + turn
        try:
            naive = datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001  its zone is that of the file
        except ValueError as error:
            raise NoRecord(f"{error} ({year}-{month:02}-{day:02})") from None
        if turn >= 0:
            self._year, self._month = year, month
        return self.at(naive)

    def epoch(self, number: int | str, unit: int = 1) -> datetime:
        """Returns a time since 1970, of so many units a second, cut to whole microseconds."""
        if isinstance(number, str) and (len(number) > MAX_DIGITS or not number.isascii() or "_" in number):
            raise NoRecord("the time is no number")
        try:
            seconds = Decimal(number) / unit
        except ArithmeticError:
            raise NoRecord("the time is no number") from None
        if not seconds.is_finite() or not 0 < seconds < MAX_SECONDS:
            raise NoRecord(_NOT_KNOWN)
        return EPOCH + timedelta(microseconds=int(seconds * 1_000_000))

    def moment(self, text: str) -> datetime:
        """Reads a time of ISO 8601, with a zone or without."""
        try:
            told = datetime.fromisoformat(text)
        except ValueError:
            raise NoRecord("the time is not one of ISO 8601") from None
        return _known(told) if told.tzinfo else self.at(told)


def _turned_back(first: datetime, second: datetime) -> timedelta:
    """Returns how far clocks are turned back over a time that comes twice. It is 0 for others, or less where they are put
    forward over it."""
    before, after = first.utcoffset(), second.utcoffset()
    return before - after if before is not None and after is not None else timedelta(0)


def _known(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise NoRecord(_NOT_KNOWN) from None
    if moment <= EPOCH:
        raise NoRecord(_NOT_KNOWN)
    return moment
