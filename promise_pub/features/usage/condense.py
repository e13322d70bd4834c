"""The job that condenses days: who did what on each of them, and how often, from the events of the journal.

A day is a step: it is replaced as a whole, together with the cookie `next`, the first day that is not final. A day is final
once it ended `settle` days ago; until then each run condenses it anew, with the events that came late.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import chain

import asyncpg

from promise_pub.days import ONE_DAY, day_of, day_start, first_whole_day
from promise_pub.errors import BadParameter
from promise_pub.features.usage.errors import UsageZoneChanged
from promise_pub.features.usage.planning import Asked, Known, Plan, next_after, plan
from promise_pub.features.usage.ports import Journal
from promise_pub.features.usage.records import Acted, Action
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.store import SWEEP_DAYS, CondensedDays
from promise_pub.jobs import Argument, Job, Step, Work, read_flag
from promise_pub.logs import fields
from promise_pub.schedules import Schedule

log = logging.getLogger(__name__)

NAME = "usage"
NEXT = "next"

Topics = Mapping[Action, Sequence[str]]


def usage_job(pool: asyncpg.Pool, journal: Journal, settings: UsageSettings) -> Job:
    return Job(
        name=NAME,
        title="Condenses who came on each day.",
        run=Condenser(CondensedDays(pool), journal, settings).run,
        schedule=Schedule(settings.schedule, settings.timezone),
        arguments=(
            Argument(name="start", help="the first day, as in 2026-01-31", read=read_day),
            Argument(name="end", help="the last day, which is included", read=read_day),
            Argument(
                name="reset", help="condense every day anew that the journal still has", read=read_flag, is_flag=True
            ),
        ),
    )


def read_day(text: str) -> str:
    """Returns a day as it was given: of ISO 8601, with hyphens. Raises BadParameter for anything else."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise BadParameter(f"a day is written as 2026-01-31, not {text[:50]!r}.")


class Condenser:
    """The work of the job."""

    def __init__(self, days: CondensedDays, journal: Journal, settings: UsageSettings) -> None:
        self._days = days
        self._journal = journal
        self._settings = settings

    async def run(self, work: Work) -> None:
        """Condenses days, and deletes those that are too old.

        Raises BadParameter for days that are not there, and UsageZoneChanged where days are of another time zone and the run
        is no reset, both before it writes anything.
        """
        settings = self._settings
        today = day_of(work.now, settings.timezone)
        cookie = await work.cookie(NEXT)
        topics = await self._topics()
        planned = await self._plan(work, topics, today, date.fromisoformat(cookie) if cookie else None)
        following, left = planned.next, list[date]()
        for done in range(planned.total):
            day = planned.first + timedelta(days=done)
            following = next_after(following, day, today, settings.settle)
            async with work.step() as step:
                people = await self._condense(step, topics, day, work.now)
                if people is None:
                    left.append(day)
                if following.isoformat() != cookie:
                    await step.keep(NEXT, cookie := following.isoformat())
                said = "left as it is" if people is None else f"{people:,} people"
                await step.progress(done + 1, planned.total, f"{day}: {said}")
        await self._sweep(work, today, planned.total, _summary(planned, left))

    async def _topics(self) -> Topics:
        """Returns the topics of each action. Their prefix may have been another once, and days then have several."""
        told = await self._journal.told_topics()
        return {action: [topic for topic in told if topic.endswith(f".{action.topic}")] for action in Action}

    async def _plan(self, work: Work, topics: Topics, today: date, kept: date | None) -> Plan:
        """Raises BadParameter or UsageZoneChanged."""
        asked, zone = _asked(work.arguments), self._settings.timezone
        condensed = await self._days.condensed(today)
        kept_since = await self._journal.kept_since()
        first_at = await self._journal.first_at([*chain(*topics.values())])
        known = Known(
            today=today,
            next=kept,
            oldest=condensed.oldest,
            first=self._settings.start or (day_of(first_at, zone) if first_at else today),
            whole_from=first_whole_day(kept_since, zone) if kept_since else None,
        )
        planned = plan(asked, known, self._settings.settle, self._settings.keep)
        if condensed.timezone not in (None, zone.key) and not asked.reset:
            raise UsageZoneChanged(
                f"Days were condensed in the time zone {condensed.timezone}, and [usage] timezone is {zone.key}: condense "
                f"them anew with `promise-pub jobs run {NAME} --reset`, or set the option back."
            )
        if planned.was_ahead:
            log.warning(
                "Days were condensed by a clock that was ahead, and are condensed anew",
                extra=fields(next=str(kept), today=str(today)),
            )
        return planned

    async def _condense(self, step: Step, topics: Topics, day: date, read_at: datetime) -> int | None:
        """Replaces a day, and returns the number of its people; None where it stays, since events of it were swept."""
        zone, connection = self._settings.timezone, step.connection
        since, until = day_start(day, zone), day_start(day + ONE_DAY, zone)
        acted: dict[Action, Sequence[Acted]] = {}
        for action, told in topics.items():
            acted[action] = [one async for one in self._journal.actors(connection, told, since, until)]
        # Asked after they were read: a sweep in between can only leave a day that was there as a whole.
        kept_since = await self._journal.kept_since()
        if kept_since and since < kept_since:
            return None
        await self._days.replace(connection, day, zone, read_at, acted)
        return len({one.actor for rows in acted.values() for one in rows})

    async def _sweep(self, work: Work, today: date, total: int, said: str) -> None:
        """Deletes days that are too old, and those after today, which were condensed by a clock that was ahead."""
        swept = SWEEP_DAYS
        while swept == SWEEP_DAYS:
            async with work.step() as step:
                swept = await self._days.sweep(step.connection, today - timedelta(days=self._settings.keep), today)
                await step.progress(total, total, said)


def _asked(arguments: Mapping[str, str]) -> Asked:
    start, end = (date.fromisoformat(arguments[name]) if name in arguments else None for name in ("start", "end"))
    return Asked(start=start, end=end, reset="reset" in arguments)


def _summary(planned: Plan, left: Sequence[date]) -> str:
    """Returns the words of a run at its end."""
    days = planned.total - len(left)
    said = f"{planned.first} to {planned.last}, {days:,} {'day' if days == 1 else 'days'}" if days else "no day"
    if not (left or planned.left):
        return said
    first = left[-1] + ONE_DAY if left else planned.first
    return (
        f"{said}; those before {first} stay as they are: events of them were swept, or they are older than [usage] keep"
    )
