"""Statistics put into the tables by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from promise_pub.features.stats.records import SEPARATOR, Layout

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def a_layout(name: str = "runs", **more: Any) -> Layout:
    usual: dict[str, Any] = {
        "version": 1,
        "kind": "counting",
        "summary": "Runs that ended, by their verdict.",
        "columns": ("state", "verdict"),
        "intervals": (3_600, 86_400),
        "topics": ("*.run.ended",),
        "own": True,
        "backlog": None,
        "unit": "",
    }
    return Layout(name=name, **{**usual, **more})


def key(*parts: str) -> str:
    return SEPARATOR.join(parts)


async def add_statistic(pool: asyncpg.Pool, layout: Layout, **more: Any) -> int:
    """Returns its number."""
    told = {"counted_from": 1, "position": 0, "shown": True, **more}
    text = json.dumps({name: value for name, value in asdict(layout).items() if name not in ("name", "version")})
    names, values = [*told], [*told.values()]
    found: int = await pool.fetchval(
        f"INSERT INTO stats_statistics (name, version, layout, {', '.join(names)}) "
        f"VALUES ($1, $2, $3, {', '.join(f'${n}' for n in range(4, 4 + len(names)))}) RETURNING id",
        *(layout.name, layout.version, text, *values),
    )
    return found


async def add_cells(
    pool: asyncpg.Pool, statistic: int, width: int, cells: Iterable[tuple[datetime, str, int, int, int, int | None]]
) -> None:
    """Cells are start, key, bucket, count, total and the greatest value."""
    await pool.copy_records_to_table("stats_cells", records=[(statistic, width, *cell) for cell in cells])


async def add_counts(
    pool: asyncpg.Pool, statistic: int, width: int, counts: Iterable[tuple[datetime, str, int]]
) -> None:
    await add_cells(pool, statistic, width, ((start, name, 0, count, 0, None) for start, name, count in counts))
