"""Sessions: events that follow each other without a long pause, the gaps between them, and their hours by day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum, auto
from itertools import groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from promise_pub.days import ONE_DAY, day_of, day_start


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


def join_sessions(events: Iterable[Lasting], gap: timedelta, lead: timedelta = timedelta(0)) -> Iterator[Session]:
    """Joins events, in the order of `at`, to sessions that never overlap. A pause that is as long as `gap` ends none.

    Every session is given `lead` before its first event, for what was done until that was told. Raises ValueError for an
    event that is earlier than the one before, or that ends before it begins.
    """
    session: Session | None = None
    previous: Lasting | None = None
    for event in events:
        end = event.until or event.at
        if end < event.at or (previous and event.at < previous.at):
            raise ValueError(f"events must be in the order of their times, unlike that of {event.at}")
        previous = event
        if session is None:
            session = Session(event.at - lead, event.at, end, 1)
        elif event.at - session.end > gap:
            yield session
            session = Session(max(event.at - lead, session.end), event.at, end, 1)
        else:
            session = session._replace(end=max(session.end, end), events=session.events + 1)
    if session:
        yield session


def find_gaps(sessions: Iterable[Session]) -> Iterator[Gap]:
    """Yields the pauses between sessions that follow each other."""
    for before, after in pairwise(sessions):
        yield Gap(before.end, after.first)


def count_hours(sessions: Iterable[Session], zone: ZoneInfo, width: Width = Width.DAY) -> Iterator[Hours]:
    """Adds sessions up by periods of a zone, those alone that have any. Days have 23 to 25 hours, as their clocks go.

    A session that goes on over midnight is in both days with its parts, and counted once in a period that it stays in.
    """
    for start, parts in groupby(_cut_at_midnights(sessions, zone), lambda part: _period(part.day, width)):
        cut = [*parts]
        sessions_in = len({part.number for part in cut})
        length = sum((part.end - part.begin for part in cut), timedelta(0))
        yield Hours(start, cut[0].begin, cut[-1].end, sessions_in, length)


class _Part(NamedTuple):
    day: date
    number: int
    begin: datetime
    end: datetime


def _cut_at_midnights(sessions: Iterable[Session], zone: ZoneInfo) -> Iterator[_Part]:
    for number, session in enumerate(sessions):
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
