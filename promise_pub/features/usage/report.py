"""Usage as all its faces tell it: the range, the periods, and in words how far it goes and why it may be empty. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.features.usage.records import Acted, Action, Question, Usage
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.schedules import Schedule
from promise_pub.text import counted
from promise_pub.times import rfc3339

COLUMNS = ("period", "start", "end", "users", "actions", "complete")
PEOPLE_COLUMNS = ("user", "times", "first", "last", "counted")
TITLES = {
    Action.LOGIN: "Users who logged in",
    Action.RUN: "Users who queued runs",
    Action.TOKEN: "Tokens that were used",
}
UNITS = {Action.LOGIN: "users", Action.RUN: "users", Action.TOKEN: "tokens"}
CONDENSE = "promise-pub jobs run usage"


@dataclass(frozen=True, slots=True)
class Headline:
    """The different users of the last whole day, and of the 7 and the 30 days that end with it."""

    day: date
    of_day: int
    of_week: int
    of_month: int


@dataclass(frozen=True, slots=True)
class DayReport:
    """The people of a day. `usage` is the day as a period."""

    usage: Usage
    people: Sequence[Acted]

    @property
    def day(self) -> date:
        return self.usage.question.start

    @property
    def complete(self) -> bool:
        return all(one.complete for one in self.usage.periods)

    def cells(self) -> Iterator[list[object]]:
        """Gives the values in the order of PEOPLE_COLUMNS."""
        for one in self.people:
            first, last = rfc3339(one.first_at, "seconds"), rfc3339(one.last_at, "seconds")
            yield [one.actor, one.times, first, last, one.actor not in self.usage.excluded]

    def as_json(self) -> dict[str, Any]:
        usage = self.usage
        return {
            "day": self.day.isoformat(),
            "action": usage.question.action,
            "timezone": usage.timezone,
            "through": usage.through and rfc3339(usage.through),
            "complete": self.complete,
            "users": usage.users,
            "people": (dict(zip(PEOPLE_COLUMNS, row, strict=True)) for row in self.cells()),
        }


def title_of(question: Question) -> str:
    """Returns what is counted, by what."""
    if question.rolling:
        return f"{TITLES[question.action]}, {question.rolling} days up to each day"
    return f"{TITLES[question.action]}, by {question.aggregate}"


def count_range(usage: Usage) -> str:
    """Returns the range in words, and the different users in it: fewer than the sum of the periods' mostly."""
    question = usage.question
    noun = UNITS[question.action].removesuffix("s")
    return f"{counted(usage.users, f'different {noun}')} from {question.start} to before {question.end}."


def cells(usage: Usage) -> Iterator[list[object]]:
    """Gives the values of each period in the order of COLUMNS."""
    for one in usage.periods:
        yield [one.name, one.start.isoformat(), one.end.isoformat(), one.users, one.actions, one.complete]


def as_json(usage: Usage) -> dict[str, Any]:
    question = usage.question
    return {
        "action": question.action,
        "aggregate": question.aggregate,
        "rolling": question.rolling,
        "timezone": usage.timezone,
        "start": question.start.isoformat(),
        "end": question.end.isoformat(),
        "through": usage.through and rfc3339(usage.through),
        "excluded": [*usage.excluded],
        "users": usage.users,
        "zone_changes": [{"day": day.isoformat(), "timezone": zone} for day, zone in usage.zone_changes],
        "periods": (dict(zip(COLUMNS, row, strict=True)) for row in cells(usage)),
    }


def plot_as_json(usage: Usage) -> dict[str, Any]:
    """Returns what is needed to draw the periods elsewhere."""
    return {
        "title": title_of(usage.question),
        "unit": UNITS[usage.question.action],
        "labels": [one.name for one in usage.periods],
        "values": [one.users for one in usage.periods],
        "complete": [one.complete for one in usage.periods],
    }


def tell_state(usage: Usage, settings: UsageSettings, now: datetime) -> str:
    """Returns how far the days go, when they go further, and who is left out."""
    zone = ZoneInfo(usage.timezone)
    parts = [f"Through {usage.through.astimezone(zone):%Y-%m-%d %H:%M}" if usage.through else "Nothing condensed yet"]
    if settings.enabled:
        due = Schedule(settings.schedule, settings.timezone).next_due(now)
        parts.append(f"next {due.astimezone(zone):%Y-%m-%d %H:%M}")
    else:
        parts.append("no longer condensed: [usage] enabled is no")
    parts.append(f"days of {usage.timezone}")
    if usage.excluded:
        parts.append(f"without {', '.join(usage.excluded)}")
    return " · ".join(parts)


def tell_all(usage: Usage, settings: UsageSettings, now: datetime, *, names: bool) -> list[str]:
    """Returns what a reader of the periods has to know besides; `names` tells whether users log in."""
    return [tell_state(usage, settings, now), *tell_zones(usage), *tell_emptiness(usage, settings, names=names)]


def tell_zones(usage: Usage) -> list[str]:
    """Returns a sentence for each change of the zone that days are cut in."""
    return [f"From {day} on days are those of {zone}." for day, zone in usage.zone_changes]


def tell_emptiness(usage: Usage, settings: UsageSettings, *, names: bool) -> list[str]:
    """Returns why there is nothing, and what would change that; `names` tells whether users log in."""
    if usage.users:
        return []
    told = []
    if not names:
        told.append(
            "Nobody logs in here, as [server] auth is off: what happens has nobody's name. With auth = users, logins, runs "
            "and tokens are counted from then on."
        )
    if usage.through is None and not settings.enabled:
        told.append("Nothing was condensed, and [usage] enabled is no. With yes the job usage does it by its schedule.")
    elif usage.through is None:
        told.append(f"Nothing was condensed yet. The job usage does it by its schedule, or now: {CONDENSE}")
    elif names:
        told.append("There were none in this range. Ask for another one, or for another action.")
    return told
