"""Sessions: events that follow each other without a long pause, the gaps between them, and their hours by day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from enum import StrEnum, auto
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from promise_pub.days import ONE_DAY, day_of, day_start

NO_TIME = timedelta(0)
END_OF_DAYS = datetime(MAXYEAR, 12, 30, tzinfo=UTC)
"""The moment before which sessions end whose days are told: in every zone there is a day after them."""


class Timed(Protocol):
    """A value that has the time of an event, in UTC, and that of its end where it is known."""

    @property
    def at(self) -> datetime: ...

    @property
    def until(self) -> datetime | None: ...


E = TypeVar("E", bound=Timed)


class Lasting(NamedTuple):
    """The time of an event, in UTC. `until` is its end, where it is known."""

    at: datetime
    until: datetime | None = None


class Session(NamedTuple):
    """Events without a long pause between them. `begin` is the first one's time less the lead, but not before the end of the
    session before; `end` is the latest end of them all."""

    begin: datetime
    first: datetime
    end: datetime
    events: int


class Gap(NamedTuple):
    """The pause between two sessions: from the end of one to the first event of the next."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


class Width(StrEnum):
    """The width of the periods that hours are added up over."""

    DAY = auto()
    WEEK = auto()
    MONTH = auto()


@dataclass(frozen=True, slots=True)
class Hours:
    """The sessions of a period that starts on `start`, cut at its midnights: `sessions` that it has a part of, from the
    begin of its `first` to the end of its `last`, and their `length` together."""

    start: date
    first: datetime
    last: datetime
    sessions: int
    length: timedelta


def follow_sessions(events: Iterable[E], gap: timedelta, lead: timedelta = NO_TIME) -> Iterator[tuple[E, Session]]:
    """Yields each event, in the order of `at`, with its session as far as that has come: its first event is the one with
    `events` of 1. Sessions never overlap. A pause that is as long as `gap` ends none.

    Every session is given `lead` before its first event, for what was done until that was told. Raises ValueError for an
    event that is earlier than the one before, or that ends before it begins.
    """
    session: Session | None = None
    previous: datetime | None = None
    for event in events:
        at = event.at
        end = event.until or at
        if end < at or (previous and at < previous):
            raise ValueError(f"events must be in the order of their times, unlike that of {at}")
        previous = at
        if session is None:
            session = Session(at - lead, at, end, 1)
        elif at - session.end > gap:
            session = Session(max(at - lead, session.end), at, end, 1)
        else:
            session = session._replace(end=max(session.end, end), events=session.events + 1)
        yield event, session


def end_sessions(followed: Iterable[tuple[object, Session]]) -> Iterator[Session]:
    """Yields each session as its last event leaves it."""
    before: Session | None = None
    for _, session in followed:
        if before and session.events == 1:
            yield before
        before = session
    if before:
        yield before


def join_sessions(events: Iterable[Timed], gap: timedelta, lead: timedelta = NO_TIME) -> Iterator[Session]:
    """Joins events to sessions, as `follow_sessions` does."""
    return end_sessions(follow_sessions(events, gap, lead))


def find_gaps(sessions: Iterable[Session]) -> Iterator[Gap]:
    """Yields the pauses between sessions that follow each other."""
    for before, after in pairwise(sessions):
        yield Gap(before.end, after.first)


def count_hours(sessions: Iterable[Session], zone: ZoneInfo, width: Width = Width.DAY) -> Iterator[Hours]:
    """Adds sessions up by periods of a zone, those alone that have any. Days have 23 to 25 hours, as their clocks go.

    A session that goes on over midnight is in both days with its parts, and counted once in a period that it stays in.
    Raises ValueError for a session that does not end before END_OF_DAYS.
    """
    for start, parts in groupby(_cut_at_midnights(sessions, zone), lambda part: _period(part.day, width)):
        cut = [*parts]
        sessions_in = len({part.number for part in cut})
        length = sum((part.end - part.begin for part in cut), NO_TIME)
        yield Hours(start, cut[0].begin, cut[-1].end, sessions_in, length)


class _Part(NamedTuple):
    day: date
    number: int
    begin: datetime
    end: datetime


def _cut_at_midnights(sessions: Iterable[Session], zone: ZoneInfo) -> Iterator[_Part]:
    for number, session in enumerate(sessions):
        if session.end >= END_OF_DAYS:
            raise ValueError(f"the last days of the year {MAXYEAR} cannot be told, and an event ends at {session.end}")
        begin = session.begin
        while True:
            day = day_of(begin, zone)
            end = min(session.end, day_start(day + ONE_DAY, zone))
            yield _Part(day, number, begin, end)
            if end == session.end:
                break
            begin = end


def _period(day: date, width: Width) -> date:
    if width is Width.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if width is Width.MONTH else day
