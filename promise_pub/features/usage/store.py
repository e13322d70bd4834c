"""Condensed days in PostgreSQL: replaced, swept, counted; and names that are forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from promise_pub.concurrency import run_in_thread
from promise_pub.days import ONE_DAY, day_start
from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.db_checks import Need
from promise_pub.features.usage.periods import starts_by_day, tell_periods, tell_windows
from promise_pub.features.usage.records import Acted, Action, Period, Question, Usage
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.text import storable

NEEDS = (
    Need("usage_days", "SELECT INSERT UPDATE DELETE"),
    Need("usage_actors", "SELECT INSERT UPDATE DELETE"),
    Need("usage_forgotten", "SELECT INSERT"),
)
NEEDS_TO_SHOW = tuple(Need(need.table, "SELECT") for need in NEEDS)

SQL = Path(__file__).parent / "usage.sql"
SWEEP_DAYS = 100  # that a statement deletes
_ACTIONS = [*Action]


@dataclass(frozen=True, slots=True)
class Condensed:
    """The first day that is condensed, and the time zone of the newest one up to today; None where there is none."""

    oldest: date | None
    timezone: str | None


class CondensedDays:
    """The stored days, as the job writes them: on the connection of its step, whose errors are not translated here."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries(SQL)

    async def condensed(self, today: date) -> Condensed:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return Condensed(**await self._sql.condensed(connection, today=today))

    async def replace(
        self, connection: Any, day: date, zone: ZoneInfo, read_at: datetime, acted: Mapping[Action, Sequence[Acted]]
    ) -> None:
        """Puts these, as they were read at that moment, in place of all that is there of a day."""
        sql = self._sql
        await sql.hold_names(connection)
        stand_ins = {row["digest"]: row["name"] async for row in sql.forgotten(connection)}
        rows = [(action, _named(one.actor, stand_ins), *one[1:]) for action, people in acted.items() for one in people]
        actions, actors, times, first_ats, last_ats = zip(*rows, strict=True) if rows else ((),) * 5
        these = {"day": day, "actions": actions, "actors": actors}
        await sql.remove_others(connection, among=_ACTIONS, **these)
        await sql.put_actors(connection, **these, times=times, first_ats=first_ats, last_ats=last_ats)
        await sql.chain_later(connection, **these)
        ends_at = day_start(day + ONE_DAY, zone)
        await sql.put_day(connection, day=day, timezone=zone.key, ends_at=ends_at, condensed_at=read_at)

    async def sweep(self, connection: Any, before: date, after: date) -> int:
        """Deletes days before one and days after another, SWEEP_DAYS of them at most, and returns how many."""
        swept = await self._sql.sweep(connection, before=before, after=after, actions=_ACTIONS, most=SWEEP_DAYS)
        return int(swept)


class StoredUsage:
    """The stored days, as they are counted. Every method raises DatabaseUnavailable when the database does not answer, and
    other kinds of DatabaseError."""

    def __init__(self, pool: asyncpg.Pool, settings: UsageSettings) -> None:
        self._pool = pool
        self._settings = settings
        self._sql = queries(SQL)

    async def count(self, question: Question) -> Usage:
        """Counts names that are not excluded now, whenever they were condensed."""
        excluded = self._settings.exclude
        async with (
            answering(self._pool, ANSWER_TIMEOUT) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            bounds = await self._sql.bounds(connection)
            if not bounds:
                periods = await run_in_thread(tell_periods, question, (), ())
                zone = self._settings.timezone.key
                return Usage(
                    question=question, timezone=zone, through=None, excluded=excluded, users=0, periods=periods
                )
            stand_ins = self._sql.stand_ins(connection, names=excluded)
            among = {"action": question.action, "excluded": [*excluded, *[row["name"] async for row in stand_ins]]}
            # All days that are there follow each other: none is read that is not, and who came before them is forgotten.
            until = min(question.end, bounds["newest"] + ONE_DAY)
            users, periods = await self._periods(connection, question, bounds["oldest"], until, among)
            changes = self._sql.zone_changes(connection, start=question.start, end=question.end)
            return Usage(
                question=question,
                timezone=bounds["timezone"],
                through=bounds["through"],
                excluded=excluded,
                users=users,
                periods=periods,
                zone_changes=[tuple(row) async for row in changes],
            )

    async def _periods(
        self, connection: Any, question: Question, oldest: date, until: date, among: Mapping[str, Any]
    ) -> tuple[int, Sequence[Period]]:
        """Returns the different people of all periods, and the periods."""
        sql, width = self._sql, question.rolling
        begun = question.start - timedelta(days=max(width - 1, 0))
        since = max(begun, oldest)
        if width:
            found = sql.count_rolling(
                connection, width=width, start=max(question.start, oldest), since=since, until=until, **among
            )
        else:
            starts = await run_in_thread(starts_by_day, question.aggregate, since, until)
            found = sql.count_periods(connection, starts=starts, since=since, until=until, **among)
        counted, users = [], 0
        async for start, people, actions, newcomers in found:
            counted.append((start, people, actions))
            users += newcomers
        whole = [row["day"] async for row in sql.whole_days(connection, start=begun, end=question.end)]
        told = await run_in_thread(tell_windows if width else tell_periods, question, counted, whole)
        return int(users), told

    async def day(self, day: date, action: Action) -> Sequence[Acted]:
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return [Acted(*row) async for row in self._sql.actors_of(connection, day=day, action=action)]

    async def forget(self, actor: str) -> int:
        """Lets a random name stand for one, in days that are condensed and in those that will be, and returns the number of
        days that the name was found on: 0 for one that was never seen. The journal keeps it until its events are swept."""
        actor = storable(actor)
        async with answering(self._pool, ANSWER_TIMEOUT) as connection, connection.transaction():
            await self._sql.hold_names(connection)
            await self._sql.add_forgotten(connection, actor=actor, name=f"forgotten-{secrets.token_hex(8)}")
            return int(await self._sql.rename(connection, actor=actor, actions=_ACTIONS))


def _named(actor: str, stand_ins: Mapping[bytes, str]) -> str:
    """Returns the name that stands for another, or that one itself."""
    return stand_ins.get(sha256(actor.encode()).digest(), actor) if stand_ins else actor
