"""Statistics as they are read from PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg

from promise_pub.concurrency import run_in_thread
from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.features.stats.errors import StatisticNotFound
from promise_pub.features.stats.layouts import registered_of
from promise_pub.features.stats.questions import MOST_ROWS, Details, Gap, Known, Row, Selection, Spark
from promise_pub.features.stats.records import OTHERS, Kind, LeftOut
from promise_pub.features.stats.sketches import estimate, inflate
from promise_pub.histogram import upper_bound
from promise_pub.text import storable

SQL = Path(__file__).parent / "row_queries.sql"
SPARKS_TIMEOUT = 1.0  # seconds for what a page can do without
MOST_TOLD = 100  # events that were left out, and gaps, that are told
THOUSAND = 1000  # totals and greatest values are stored in thousandths

_KEYS = " AND ".join(
    f"(:{name}::text IS NULL OR split_part(key, E'\\x1f', {place}) = :{name})"
    for place, name in enumerate(("one", "two", "three", "four"), 1)
)
_FRAGMENTS = {
    "span": f"statistic = :statistic AND width = :width AND start >= :since AND start < :until AND {_KEYS}",
    # An entry has no window.
    "entries": f"statistic = :statistic AND :width::integer IS NOT NULL AND at >= :since AND at < :until AND {_KEYS}",
    "key": "CASE WHEN :kept::text[] IS NULL OR key = ANY(:kept) THEN key ELSE :others END",
    "measures": "sum(count)::bigint AS count, sum(total)::bigint AS total, max(most) AS most, "
    + ", ".join(
        f"min(bucket) FILTER (WHERE up_to >= {share} * number) AS p{share * 100:.0f}" for share in (0.5, 0.95, 0.99)
    ),
}
_PARTS: Mapping[Kind, str] = {
    "counting": "counts",
    "measuring": "measures",
    "distinct": "members",
    "latest": "entries",
}
"""The last words of the names of each kind's queries."""


class StoredStatistics:
    """The stored statistics. A question that takes longer than ANSWER_TIMEOUT raises DatabaseUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = {
            direction: queries(SQL, **_FRAGMENTS, direction=direction, table="stats_cells")
            for direction in ("ASC", "DESC")
        }
        self._of_sketches = queries(SQL, **_FRAGMENTS, direction="ASC", table="stats_distinct")

    async def list(self) -> Sequence[Known]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            found = await self._versions(connection, None)
        return [_shown([*group]) for _, group in groupby(found, lambda one: one.registered.layout.name)]

    async def sparks(self, asked: Mapping[int, tuple[int, datetime]]) -> Mapping[int, Sequence[Spark]]:
        given = {
            "statistics": [*asked],
            "widths": [width for width, _ in asked.values()],
            "sinces": [since for _, since in asked.values()],
        }
        async with answering(self._pool, SPARKS_TIMEOUT) as connection:
            rows = [row async for row in self._sql["ASC"].sparks(connection, **given)]
        return {
            statistic: [Spark(row["start"], row["count"]) for row in group]
            for statistic, group in groupby(rows, lambda row: row["statistic"])
        }

    async def find(self, name: str, version: int | None = None) -> Details:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            versions = await self._versions(connection, storable(name))
            known = _chosen(versions, name, version)
            statistic, sql = known.registered, self._sql["ASC"]
            left_out = sql.left_out(connection, statistic=statistic.id, most=MOST_TOLD)
            gaps = sql.gaps(connection, statistic=statistic.id, most=MOST_TOLD)
            oldest = (self._of_sketches if statistic.layout.kind == "distinct" else sql).oldest(
                connection, statistic=statistic.id, widths=[*statistic.layout.intervals]
            )
            numbers = (one.registered.layout.version for one in versions)
            return Details(
                known=known,
                others=[number for number in numbers if number != statistic.layout.version],
                left_out=[LeftOut(**row) async for row in left_out],
                gaps=[Gap(**row) async for row in gaps],
                oldest={row["width"]: row["start"] async for row in oldest},
            )

    async def _versions(self, connection: Any, name: str | None) -> Sequence[Known]:
        rows = [dict(row) async for row in self._sql["ASC"].versions(connection, name=name)]
        return [Known(gaps=row.pop("gaps"), registered=registered_of(row)) for row in rows]

    async def page(self, selection: Selection, limit: int, skip: int) -> tuple[Sequence[Row], int]:
        kind, given = selection.statistic.layout.kind, _given(selection)
        direction = "DESC" if selection.descending else "ASC"
        async with (
            answering(self._pool, ANSWER_TIMEOUT) as connection,
            # The number of rows and these are of one moment.
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await self._sql["ASC"].prepare_reading(connection)
            total = int(await getattr(self._sql["ASC"], f"count_{_PARTS[kind]}")(connection, **given))
            limit = max(0, min(limit, total - skip))
            from_end = skip > total // 2
            if from_end:
                # What is nearer to the other end is found from there: rows that are skipped are read.
                direction, skip = "ASC" if selection.descending else "DESC", max(0, total - skip - limit)
            query = getattr(self._sql[direction], f"page_of_{_PARTS[kind]}")
            found = [row async for row in query(connection, **given, limit=limit, skip=skip)] if limit else []
        rows = await run_in_thread(list, map(_READ[kind], found))
        return rows[::-1] if from_end else rows, total

    async def whole(self, selection: Selection, top: int | None = None) -> Sequence[Row]:
        kind, given = selection.statistic.layout.kind, _given(selection)
        sql = self._sql["ASC"]
        limit = MOST_ROWS + 1
        async with (
            answering(self._pool, ANSWER_TIMEOUT) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await sql.prepare_reading(connection)
            if kind in ("counting", "measuring"):
                kept = None
                if top is not None:
                    keys = sql.top_keys(connection, **given, others=OTHERS, top=top)
                    kept = [row["key"] async for row in keys]
                query = getattr(sql, f"whole_{_PARTS[kind]}")
                rows = query(connection, **given, kept=kept, others=OTHERS, limit=limit)
            else:
                rows = getattr(sql, f"page_of_{_PARTS[kind]}")(connection, **given, limit=limit, skip=0)
            found = [row async for row in rows]
        return await run_in_thread(list, map(_READ[kind], found))


def _given(selection: Selection) -> dict[str, Any]:
    keys = (*selection.keys, None, None, None, None)
    return {
        "statistic": selection.statistic.id,
        "width": selection.width,
        "since": selection.since,
        "until": selection.until,
        **dict(zip(("one", "two", "three", "four"), keys, strict=False)),
    }


def _shown(versions: Sequence[Known]) -> Known:
    """Returns the version that readers get, with the newer one that is being counted; a new statistic's only one."""
    shown = next((one for one in versions if one.registered.shown), versions[-1])
    newer = versions[-1].registered
    return Known(registered=shown.registered, next=newer if newer.id != shown.registered.id else None, gaps=shown.gaps)


def _chosen(versions: Sequence[Known], name: str, version: int | None) -> Known:
    if not versions:
        raise StatisticNotFound(f"There is no statistic {name[:60]!r}.")
    if version is None:
        return _shown(versions)
    found = next((one for one in versions if one.registered.layout.version == version), None)
    if found is None:
        numbers = ", ".join(str(one.registered.layout.version) for one in versions)
        raise StatisticNotFound(f"There is no version {version} of {name}: there are {numbers}.")
    return found


def _read_count(row: asyncpg.Record) -> Row:
    at, key, count = row
    return Row(at, key, (count,))


def _read_measures(row: asyncpg.Record) -> Row:
    most = (row["most"] or 0) / THOUSAND
    percentiles = (min(upper_bound(row[name]), most) for name in ("p50", "p95", "p99"))
    mean = row["total"] / THOUSAND / row["count"]
    return Row(row["at"], row["key"], (row["count"], *(round(value, 3) for value in (mean, *percentiles, most))))


def _read_members(row: asyncpg.Record) -> Row:
    return Row(row["at"], row["key"], (estimate(inflate(row["sketch"])),))


def _read_entry(row: asyncpg.Record) -> Row:
    return Row(row["at"], row["key"], (row["value"],))


_READ: Mapping[Kind, Callable[[asyncpg.Record], Row]] = {
    "counting": _read_count,
    "measuring": _read_measures,
    "distinct": _read_members,
    "latest": _read_entry,
}
