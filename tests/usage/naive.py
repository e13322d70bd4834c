"""Usage counted by looking at every event, for each period anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from promise_pub.days import ONE_DAY, day_start


class Login(NamedTuple):
    actor: str
    at: datetime


def people(logins: Iterable[Login], since: date, until: date, zone: tzinfo, excluded: Collection[str] = ()) -> int:
    return len({login.actor for login in _within(logins, since, until, zone, excluded)})


def times(logins: Iterable[Login], since: date, until: date, zone: tzinfo, excluded: Collection[str] = ()) -> int:
    return len(_within(logins, since, until, zone, excluded))


def windows(start: date, end: date, width: int) -> list[tuple[date, date]]:
    days = [start + timedelta(days=n) for n in range((end - start).days)]
    return [(day + ONE_DAY - timedelta(days=width), day + ONE_DAY) for day in days]


def _within(
    logins: Iterable[Login], since: date, until: date, zone: tzinfo, excluded: Collection[str]
) -> Sequence[Login]:
    first, last = day_start(since, zone), day_start(until, zone)
    return [login for login in logins if first <= login.at < last and login.actor not in excluded]
