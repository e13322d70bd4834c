"""Usage in memory, counted by brute force: for each period the people of its days, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.days import day_of, day_start
from promise_pub.errors import DatabaseError
from promise_pub.features.usage.feature import feature_of
from promise_pub.features.usage.feature import with_services as feature_with_services
from promise_pub.features.usage.periods import cut
from promise_pub.features.usage.records import Acted, Action, Aggregate, Period, Question, Usage
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.http.features import OpenFeature

Happened = tuple[Action, str, datetime]
"""An action, whose it was, and when."""


class FakeUsage:
    """The part of StoredUsage that faces use. All that happened before `through` is condensed."""

    def __init__(self, settings: UsageSettings | None = None) -> None:
        self.away: DatabaseError | None = None
        """The error that every question raises while it is set."""
        self.settings = settings or UsageSettings()
        self.through: datetime | None = None
        self.zone_changes: list[tuple[date, str]] = []
        self.happened: list[Happened] = []
        self.asked: list[Question] = []

    def add(self, happened: Iterable[Happened], through: datetime) -> None:
        self.happened += happened
        self.through = through

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.timezone

    async def count(self, question: Question) -> Usage:
        if self.away:
            raise self.away
        self.asked.append(question)
        return Usage(
            question=question,
            timezone=self.zone.key,
            through=self.through,
            excluded=self.settings.exclude,
            users=len(self._among(question, question.start, question.end)),
            periods=[*self._periods(question)],
            zone_changes=self.zone_changes,
        )

    def _periods(self, question: Question) -> Iterator[Period]:
        for name, start, end in cut(question.aggregate, question.start, question.end):
            if question.rolling:
                start = end - timedelta(days=question.rolling)
                counted = self._among(question, start, end)
            else:
                counted = self._among(question, max(start, question.start), min(end, question.end))
            uncut = bool(question.rolling) or question.start <= start and end <= question.end
            yield Period(
                name=name,
                start=start,
                end=end,
                users=len(counted),
                actions=sum(counted.values()),
                complete=uncut and self._is_condensed(start, end),
            )

    def _is_condensed(self, start: date, end: date) -> bool:
        first = self.settings.start or start
        return self.through is not None and first <= start and day_start(end, self.zone) <= self.through

    def _among(self, question: Question, start: date, end: date) -> Mapping[str, int]:
        """Counts the times that each did it, from a day to before another."""
        counts: dict[str, int] = {}
        for actor, at in self._of(question.action):
            if start <= day_of(at, self.zone) < end and actor not in self.settings.exclude:
                counts[actor] = counts.get(actor, 0) + 1
        return counts

    def _of(self, action: Action) -> Iterator[tuple[str, datetime]]:
        for kind, actor, at in self.happened:
            if kind is action and self.through and at < self.through:
                yield actor, at

    async def day(self, day: date, action: Action) -> Sequence[Acted]:
        moments: dict[str, list[datetime]] = {}
        for actor, at in sorted(self._of(action)):
            if day_of(at, self.zone) == day:
                moments.setdefault(actor, []).append(at)
        return [Acted(actor, len(all_), all_[0], all_[-1]) for actor, all_ in moments.items()]

    async def forget(self, actor: str) -> int:
        days = {day_of(at, self.zone) for _, name, at in self.happened if name == actor}
        self.happened = [(kind, "forgotten" if name == actor else name, at) for kind, name, at in self.happened]
        return len(days)


def on(day: date, hour: int = 12, zone: ZoneInfo | None = None) -> datetime:
    return day_start(day, zone or ZoneInfo("UTC")) + timedelta(hours=hour)


def logins(actor: str, *days: date) -> list[Happened]:
    """A login at noon of each of these days."""
    return [(Action.LOGIN, actor, on(day)) for day in days]


def a_question(**more: Any) -> Question:
    usual: dict[str, Any] = {"action": Action.LOGIN, "aggregate": Aggregate.WEEK, "rolling": 0}
    return Question(**{**usual, **more})


def with_services(usage: FakeUsage) -> OpenFeature:
    """The feature with these instead of what is stored."""
    return feature_with_services(usage, usage.settings, feature_of(lambda _: None))  # type: ignore[arg-type, return-value]
