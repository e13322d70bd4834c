"""Frozen values of usage. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from promise_pub.event_records import Acted as Acted


class Action(StrEnum):
    """An action that people, or their scripts, are counted by."""

    LOGIN = "login"
    RUN = "run"
    TOKEN = "token"

    @property
    def topic(self) -> str:
        """The topic of its events, without the prefix of promise-pub's own."""
        return {"login": "account.login", "run": "run.queued", "token": "account.token_used"}[self]


class Aggregate(StrEnum):
    """A kind of periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about usage: days from `start` to `end`, which is not included. `rolling` is the number of days of a
    rolling window, 0 for none."""

    action: Action
    aggregate: Aggregate
    rolling: int
    start: date
    end: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The different people of a period, and their actions; `end` is not included. It is not complete where the question
    cuts it, or days of it are not condensed to their end."""

    name: str
    start: date
    end: date
    users: int
    actions: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The answer to a question. `through` is the moment up to which events were condensed, None before the first time;
    `users` are the different people over the whole range. `zones` are the time zones that its days were cut in, the
    configured one where there are none, each with its first day after another."""

    question: Question
    timezone: str
    through: datetime | None
    excluded: Sequence[str]
    users: int
    periods: Sequence[Period]
    zone_changes: Sequence[tuple[date, str]] = ()
