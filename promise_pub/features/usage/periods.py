"""Periods of days: their bounds, their names, and what is told of them. Weeks are those of ISO 8601, from Monday. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

from promise_pub.features.usage.records import Aggregate, Period, Question

Counted = Iterable[tuple[date, int, int]]

_MONTHS = {Aggregate.MONTH: 1, Aggregate.QUARTER: 3, Aggregate.YEAR: 12}


def floor(aggregate: Aggregate, day: date) -> date:
    """Returns the first day of the period that a day belongs to."""
    if aggregate is Aggregate.DAY:
        return day
    if aggregate is Aggregate.WEEK:
        return day - timedelta(days=day.weekday())
    months = _MONTHS[aggregate]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def following(aggregate: Aggregate, start: date) -> date:
    """Returns the first day after the period that begins on this one. Raises OverflowError after the year 9999."""
    if aggregate in _MONTHS:
        year, month = divmod(start.year * 12 + start.month - 1 + _MONTHS[aggregate], 12)
        if year > date.max.year:
            raise OverflowError("there is no day after the year 9999")
        return date(year, month + 1, 1)
    return start + timedelta(days=7 if aggregate is Aggregate.WEEK else 1)


def name_of(aggregate: Aggregate, start: date) -> str:
    """Returns the name of a period: 2026-01-05, 2026-W02, 2026-01, 2026-Q1 or 2026."""
    if aggregate is Aggregate.WEEK:
        year, week, _ = start.isocalendar()
        return f"{year:04}-W{week:02}"
    if aggregate is Aggregate.QUARTER:
        return f"{start.year:04}-Q{start.month // 3 + 1}"
    return start.isoformat()[: {Aggregate.MONTH: 7, Aggregate.YEAR: 4}.get(aggregate, 10)]


def cut(aggregate: Aggregate, start: date, end: date) -> list[tuple[str, date, date]]:
    """Returns every period that has a day from `start` to before `end`: its name, its first day, and the first day after it.

    Those at both ends may reach beyond the range.
    """
    if start >= end:
        return []
    bounds = [floor(aggregate, start)]
    while bounds[-1] < end:
        bounds.append(following(aggregate, bounds[-1]))
    return [(name_of(aggregate, first), first, after) for first, after in pairwise(bounds)]


def starts_by_day(aggregate: Aggregate, start: date, end: date) -> list[date]:
    """Returns for each day of a range the first day of its period there."""
    starts: list[date] = []
    for _, first, after in cut(aggregate, start, end):
        first = max(first, start)
        starts += [first] * (min(after, end) - first).days
    return starts


def tell_periods(question: Question, counted: Counted, whole: Sequence[date]) -> Sequence[Period]:
    """Returns every period of a question. `counted` has those with anybody: a day of it, people, actions; `whole` the days
    that are condensed to their end, in their order."""
    found = {floor(question.aggregate, day): (users, actions) for day, users, actions in counted}
    return [
        _period(name, start, end, *found.get(start, (0, 0)), question.start <= start and end <= question.end, whole)
        for name, start, end in cut(question.aggregate, question.start, question.end)
    ]


def tell_windows(question: Question, counted: Counted, whole: Sequence[date]) -> Sequence[Period]:
    """Returns the window up to each day of a question, named by that day. `counted` has the days on which numbers change,
    from the first of the first window on."""
    width = timedelta(days=question.rolling)
    found = {day: (users, actions) for day, users, actions in counted}
    numbers, windows = (0, 0), []
    for name, day, end in cut(Aggregate.DAY, question.start - width + timedelta(days=1), question.end):
        numbers = found.get(day, numbers)
        if day >= question.start:
            windows.append(_period(name, end - width, end, *numbers, True, whole))
    return windows


def _period(name: str, start: date, end: date, users: int, actions: int, uncut: bool, whole: Sequence[date]) -> Period:
    is_condensed = bisect_left(whole, end) - bisect_left(whole, start) == (end - start).days
    return Period(
        name=name, start=start, end=end, users=int(users), actions=int(actions), complete=uncut and is_condensed
    )
