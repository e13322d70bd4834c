"""What noting a visit costs a page, and how long a million hits take to be counted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.figures import Section, Table, Target, spread
from benchmarks.measure import Bench, in_rotation, middle
from benchmarks.services import ROOT, Listening, NotMeasured
from promise_pub import db
from promise_pub.settings.model import DatabaseSettings

PAGES, QUICK_PAGES = 2_000, 300  # in a row, noted or not
HITS, QUICK_HITS = 1_000_000, 20_000
PER_SESSION = 10
PATH = "/nothing-there"  # the page that costs least by itself
SETTLES = 1.5  # seconds: what is noted is written within one

_HITS = """
    INSERT INTO visit_hits (id, at, session_id, page, ip, user_agent)
    SELECT gen_random_uuid(), now() - interval '40 days' + n * interval '1 second',
           md5((n / $2)::text)::uuid,
           (ARRAY['/', '/runs', '/runs/{id}', '/compare', '/docs', '/visits', '/login', 'not found',
                  '/simulate/', '/runs/{id}/rejects', '/visits/{session_id}', '/preview/'])[1 + floor(random() ^ 2 * 12)],
           '203.0.113.7', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    FROM generate_series(0, $1::integer - 1) AS n
"""


@dataclass(frozen=True)
class Counted:
    """What `promise-pub transitions` took as a process."""

    seconds: float
    peak: float
    """MB"""


async def visits(bench: Bench) -> Section:
    costs = await _costs(bench)
    counted = await _counted(bench)
    milliseconds, seconds = [1000 * cost for cost in costs], [one.seconds for one in counted]
    peaks = [one.peak for one in counted]
    hits = QUICK_HITS if bench.quick else HITS
    cost, longest, peak = middle(milliseconds), middle(seconds), middle(peaks)
    return Section(
        title="Visits",
        text=(
            f"The server's processor time for a page that is noted (cookie, session, batched write), less that for the "
            f"same page with `DNT: 1`, in turn on one connection; and `promise-pub transitions` as a process over {hits:,} "
            f"hits in {hits // PER_SESSION:,} sessions, from its start to its end."
        ),
        table=Table(
            ("figure", "median", "spread"),
            [
                ("noting a hit, ms of processor time", f"{cost:.3f}", spread(milliseconds)),
                ("transitions, s", f"{longest:.2f}", spread(seconds)),
                ("transitions, peak MB", f"{peak:.0f}", spread(peaks)),
            ],
        ),
        targets=[
            Target("processor time to note a hit", "≤ 0.2 ms", f"{cost:.3f} ms", cost <= 0.2),
            Target(f"transitions over {hits:,} hits", "≤ 3 s", f"{longest:.2f} s", longest <= 3),
            Target("its peak memory", "≤ 200 MB", f"{peak:.0f} MB", peak <= 200),
        ],
    )


async def _costs(bench: Bench) -> list[float]:
    """Seconds of processor time a hit, of each round."""
    services = bench.services
    pages = QUICK_PAGES if bench.quick else PAGES
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database) as server,
        aiohttp.ClientSession(server.url) as http,
    ):
        await _spent(server, http, pages // 4, {})  # everything is loaded
        measures = {
            "page, not noted": lambda: _spent(server, http, pages, {"DNT": "1"}),
            "page, noted": lambda: _spent(server, http, pages, {}),
        }
        shown = lambda each: f"{1000 * each:.3f} ms"  # noqa: E731  it is one
        plain, noted = (await in_rotation("visits", bench.rounds, measures, shown)).values()
    return [with_note - without for with_note, without in zip(noted, plain, strict=True)]


async def _spent(server: Listening, http: aiohttp.ClientSession, pages: int, headers: dict[str, str]) -> float:
    """Seconds of the server's processor time a page, the writing of its note included."""
    before = server.processor()
    for _ in range(pages):
        async with http.get(PATH, headers=headers) as answer:
            await answer.read()
    await asyncio.sleep(SETTLES)
    return (server.processor() - before) / pages


async def _counted(bench: Bench) -> list[Counted]:
    hits = QUICK_HITS if bench.quick else HITS
    services = bench.services
    async with services.database() as database:
        await _fill(database, hits)
        with services.for_commands(database) as file:
            [results] = (
                await in_rotation(
                    "visits",
                    bench.rounds,
                    {"transitions": lambda: asyncio.to_thread(_timed, file)},
                    lambda one: f"{one.seconds:.2f} s  {one.peak:.0f} MB",
                )
            ).values()
    return results


async def _fill(database: DatabaseSettings, hits: int) -> None:
    async with db.open_pool(database, max_size=1) as pool:
        await pool.execute(_HITS, hits, PER_SESSION, timeout=600)
        await pool.execute("VACUUM (ANALYZE) visit_hits", timeout=600)


def _timed(file: Path) -> Counted:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "promise_pub", "-c", str(file), "transitions"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise NotMeasured("transitions failed")
    return Counted(time.monotonic() - started, usage.ru_maxrss / 1000)
