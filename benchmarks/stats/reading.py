"""Rows of statistics as they are asked for over HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from benchmarks.measure import Bench
from benchmarks.services import NotMeasured
from promise_pub import db

REQUESTS = 100
DAYS, KEYS = 30, 10
MANY, QUICK_MANY = 1_000_000, 20_000
AS_JSON, AS_SVG, LAST_PAGE = "30 days by the hour, 10 keys, JSON", "the same as a picture", "the last page of many rows"
_FILL_TIMEOUT = 600  # seconds
_MANY_STATISTIC, _CHART_STATISTIC = "volume-by-topic", "volume-by-category"

_BEGUN = "SELECT count(*) FROM stats_statistics WHERE name = ANY($1)"
# Rows of one width, that begin in the past; whatever is counted meanwhile is in other windows.
_FILL = """
    INSERT INTO stats_cells (statistic, width, start, key, count)
    SELECT id, $2::integer, to_timestamp(floor(extract(epoch FROM now()) / $2) * $2) - n / $3::bigint * $2 * interval '1 second',
           'key' || n % $3::bigint, 1 + n % 17
    FROM stats_statistics, generate_series($3::bigint, $4::bigint + $3 - 1) AS n
    WHERE name = $1
"""


async def measure_reading(bench: Bench) -> dict[str, list[float]]:
    """Returns the seconds of the requests of each kind."""
    services = bench.services
    many = QUICK_MANY if bench.quick else MANY
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        AS_JSON: (_CHART_STATISTIC, {"interval": "1h", "since": "30d", "per_page": 500, "format": "json"}),
        AS_SVG: (_CHART_STATISTIC, {"interval": "1h", "since": "30d", "format": "svg"}),
        LAST_PAGE: (_MANY_STATISTIC, {"interval": "1h", "per_page": 500, "page": many // 500, "format": "json"}),
    }
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database) as server,
        db.open_pool(database, max_size=1) as pool,
        aiohttp.ClientSession(server.url) as http,
    ):
        async with asyncio.timeout(_FILL_TIMEOUT):
            while await pool.fetchval(_BEGUN, [_CHART_STATISTIC, _MANY_STATISTIC]) < 2:  # noqa: ASYNC110  another process begins them
                await asyncio.sleep(0.1)
        await pool.execute(_FILL, _CHART_STATISTIC, 3600, KEYS, DAYS * 24 * KEYS, timeout=_FILL_TIMEOUT)
        await pool.execute(_FILL, _MANY_STATISTIC, 3600, 50, many, timeout=_FILL_TIMEOUT)
        await pool.execute("VACUUM (ANALYZE) stats_cells", timeout=_FILL_TIMEOUT)
        return {
            name: [await _timed(http, f"/stats/{statistic}", given) for _ in range(REQUESTS)]
            for name, (statistic, given) in asked.items()
        }


async def _timed(http: aiohttp.ClientSession, path: str, asked: dict[str, Any]) -> float:
    started = time.perf_counter()
    async with http.get(path, params=asked) as answer:
        content = await answer.read()
        seconds = time.perf_counter() - started
        if answer.status != 200 or len(content) < 5000:
            raise NotMeasured(f"A statistic was not shown: {answer.status} {content[:200]!r}")
    return seconds
