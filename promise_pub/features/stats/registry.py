"""The versions of statistics in PostgreSQL: begun, shown, set aside, forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from promise_pub.db import ANSWER_TIMEOUT, COMMAND_TIMEOUT, answering, queries
from promise_pub.db_checks import Need
from promise_pub.features.stats.layouts import layout_json, registered_of
from promise_pub.features.stats.records import Layout, Registered
from promise_pub.features.stats.versions import Change

_TABLES = ("statistics", "cells", "latest", "distinct", "left_out", "gaps")
NEEDS_TO_SHOW = tuple(Need(f"stats_{table}", "SELECT") for table in _TABLES)
NEEDS = tuple(Need(f"stats_{table}", "SELECT INSERT UPDATE DELETE") for table in _TABLES)

SQL = Path(__file__).parent / "stats.sql"
PIECE = 10_000  # rows a statement deletes, between which others are counted
CARRY_TIMEOUT = 300.0  # seconds to copy the rows of a version: a million in ten
LOCK_TIMEOUT = 5_000  # milliseconds


class Carried(NamedTuple):
    """An older version, whose windows that start before `until` are copied."""

    older: int
    until: datetime


class StatsRegistry:
    """The stored versions of statistics. Every method raises DatabaseUnavailable when the database does not answer, and
    other kinds of DatabaseError."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries(SQL)

    async def list(self) -> Sequence[Registered]:
        """Returns every version of every statistic, by name and version."""
        async with answering(self._pool, ANSWER_TIMEOUT, reset=False) as connection:
            return [registered_of(row) async for row in self._sql.registered(connection)]

    async def begin(
        self, layout: Layout, position: int, *, shown: bool, counted_from: int, carried: Carried | None = None
    ) -> bool:
        """Adds a version that is counted from after this position; with `carried`, in the same transaction, rows of an
        older one. Returns False where there is one with its number."""
        async with answering(self._pool, CARRY_TIMEOUT) as connection, connection.transaction():
            await self._bound_waits(connection)
            # Nobody counts in the older version while its rows are copied: they are all of the same position.
            reached = await self._sql.hold(connection, id=carried.older) if carried else None
            begun = await self._sql.register(
                connection,
                name=layout.name,
                version=layout.version,
                layout=layout_json(layout),
                counted_from=counted_from,
                position=position,
                carried_until=carried and carried.until,
                carried_position=reached,
                shown=shown,
            )
            if begun and carried and reached is not None:
                await self._carry(connection, carried, begun, layout, position)
                if reached < position:
                    await self._add_gap(connection, begun, reached, position, "swept before they were counted")
        return begun is not None

    async def _carry(self, connection: Any, carried: Carried, newer: int, layout: Layout, position: int) -> None:
        sql, pair = self._sql, {"older": carried.older, "newer": newer}
        for width in layout.intervals:
            await sql.carry_cells(connection, **pair, width=width, until=carried.until)
            await sql.carry_sketches(connection, **pair, width=width, until=carried.until)
        await sql.carry_entries(connection, **pair)
        await sql.carry_gaps(connection, **pair, position=position)

    async def _add_gap(self, connection: Any, statistic: int, after: int, up_to: int, why: str) -> None:
        await self._sql.add_gaps(connection, statistics=[statistic], afters=[after], up_tos=[up_to], whys=[why])

    async def change(self, change: Change) -> None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.set_state(
                connection,
                id=change.id,
                state=change.state,
                trouble=change.trouble,
                layout=layout_json(change.layout),
            )

    async def show(self, one: Registered) -> None:
        """Lets readers see this version instead of the one that they saw."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection, connection.transaction():
            await self._sql.hide_shown(connection, name=one.layout.name)
            await self._sql.show(connection, id=one.id)

    async def skip(self, one: Registered, up_to: int, why: str) -> None:
        """Moves the position of a version over events that are not counted, and notes a gap where it has counted any."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection, connection.transaction():
            has_counted = await self._sql.skip(connection, id=one.id, position=one.position, up_to=up_to)
            if has_counted:
                await self._add_gap(connection, one.id, one.position, up_to, why)

    async def forget(self, name: str) -> bool:
        """Deletes a statistic with all its versions and rows; False where there is none of this name.

        If it is cut off, the rest is deleted by whoever counts. A statistic that is installed is then counted anew.
        """
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            ids = [row["id"] async for row in self._sql.hide_all(connection, name=name)]
        await self._delete(ids)
        return bool(ids)

    async def rebuild(self, name: str) -> bool:
        """Lets a statistic be counted anew, beside the rows that readers see; False where there is none of this name."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            begun = [row["id"] async for row in self._sql.uncounted(connection, name=name)]
        await self._delete(begun)
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return await self._sql.make_older(connection, name=name) is not None

    async def _delete(self, ids: Sequence[int]) -> None:
        for one in ids:
            while not await self.delete_some(one):
                pass

    async def delete_some(self, statistic: int) -> bool:
        """Deletes PIECE rows of a version at most, and the version itself with the last of them: then it returns True."""
        async with answering(self._pool, COMMAND_TIMEOUT) as connection, connection.transaction():
            await self._bound_waits(connection)
            # Two who delete the same rows would each find fewer than there are, and take them for the last.
            if await self._sql.hold(connection, id=statistic) is None:
                return True
            for delete in (self._sql.delete_cells, self._sql.delete_sketches, self._sql.delete_entries):
                if await delete(connection, id=statistic, most=PIECE) == PIECE:
                    return False
            await self._sql.delete_left_out(connection, id=statistic)
            await self._sql.delete_gaps(connection, id=statistic)
            await self._sql.delete_version(connection, id=statistic)
            return True

    async def sweep_some(self, known: Sequence[Registered], kept_from: Mapping[int, datetime]) -> bool:
        """Deletes windows that start before those that are kept, by their width: PIECE rows at most.

        Returns True when there are no more.
        """
        swept = [
            (one.id, width, kept_from[width]) for one in known for width in one.layout.intervals if width in kept_from
        ]
        statistics, widths, befores = zip(*swept, strict=True) if swept else ((), (), ())
        given = {"statistics": statistics, "widths": widths, "befores": befores, "most": PIECE}
        async with answering(self._pool, COMMAND_TIMEOUT) as connection:
            cells = await self._sql.sweep_cells(connection, **given)
            sketches = await self._sql.sweep_sketches(connection, **given)
        return bool(max(cells, sketches) < PIECE)

    async def _bound_waits(self, connection: Any) -> None:
        await self._sql.bound_waits(connection, lock=str(LOCK_TIMEOUT), idle=str(int(COMMAND_TIMEOUT * 1000)))
