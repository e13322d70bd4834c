"""What a visitor waits for while a run goes at full speed, and how old the progress is that is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import Section, Table, Target, percentile, whole
from benchmarks.measure import Bench, curl, in_rotation, middle
from benchmarks.services import Listening, NotMeasured

PAGE_EVERY, LOOK_EVERY = 0.02, 0.05  # seconds between two visits, and two looks at the progress
_REQUEST_TIMEOUT = 30  # seconds

Result = dict[str, Any]


async def responsive(bench: Bench) -> Section:
    file = await bench.csv(bench.rows * 2)
    [rounds] = (
        await in_rotation(
            "responsive", bench.rounds, {"GET / while publishing": lambda: _once(bench, file)}, _shown
        )
    ).values()  # fmt: skip
    pages = [seconds for result in rounds for seconds in result["pages"]]
    ages = [seconds for result in rounds for seconds in result["ages"]]
    p99, oldest = percentile(pages, 0.99) * 1000, max(ages)
    return Section(
        title="Pages while a run goes at full speed",
        text=(
            f"`GET /` every {PAGE_EVERY * 1000:.0f} ms while {bench.rows * 2:,} rows are published at "
            f"{whole(middle([result['rate'] for result in rounds]))} rows/s, and how old the newest change of the "
            f"confirmed rows is, as seen every {LOOK_EVERY * 1000:.0f} ms by `GET /runs/{{id}}`. All rounds together."
        ),
        table=Table(
            ("milliseconds", "count", "p50", "p95", "p99", "max"),
            [_row("GET /", pages), _row("age of the progress", ages)],
        ),
        targets=[
            Target("`GET /` during a run, p99", "≤ 50 ms", f"{p99:.1f} ms", p99 <= 50),
            Target("age of the progress shown", "≤ 1 s", f"{oldest:.2f} s", oldest <= 1),
        ],
    )


async def _once(bench: Bench, file: Path) -> Result:
    services = bench.services
    limits = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT)
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database) as server,
        aiohttp.ClientSession(server.url, timeout=limits) as http,
    ):
        address = await _start(server, file)
        await _until_publishing(http, address)
        looking = asyncio.create_task(_ages(http, address))
        try:
            pages = await _visits(http, looking.done)
            ages, report = await looking
        finally:
            looking.cancel()
        confirmed, seconds = report["rows"]["confirmed"], report["seconds"]["publishing"]
        return {"pages": pages, "ages": ages, "rate": confirmed / seconds}


async def _start(server: Listening, file: Path) -> str:
    """Uploads the file; the address of its run."""
    headers = await curl(
        "-o", "/dev/null", "-D", "-", "-H", "Prefer: respond-async",
        "-F", f"input_file=@{file}", "-F", "mode=batch", f"{server.url}/simulate/",
    )  # fmt: skip
    for line in headers.splitlines():
        if line.lower().startswith("location:"):
            return line.partition(":")[2].strip()
    raise NotMeasured(f"The run was not accepted: {headers[:200]}")


async def _report(http: aiohttp.ClientSession, address: str) -> Result:
    async with http.get(address, params={"format": "json"}) as answer:
        return dict(await answer.json())


async def _until_publishing(http: aiohttp.ClientSession, address: str) -> None:
    while True:
        report = await _report(http, address)
        if report["error"]:
            raise NotMeasured(f"The run failed: {report['error']}")
        if report["state"] not in ("queued", "negotiating"):
            return
        await asyncio.sleep(0.005)


async def _ages(http: aiohttp.ClientSession, address: str) -> tuple[list[float], Result]:
    """At each look, for how many seconds the count of confirmed rows had stood still; and the last report."""
    ages, confirmed, changed = [], 0, time.perf_counter()
    while (report := await _report(http, address))["state"] == "publishing":
        now = time.perf_counter()
        ages.append(now - changed)
        if report["rows"]["confirmed"] != confirmed:
            confirmed, changed = report["rows"]["confirmed"], now
        await asyncio.sleep(LOOK_EVERY)
    while report["state"] == "draining":
        await asyncio.sleep(LOOK_EVERY)
        report = await _report(http, address)
    return ages, report


async def _visits(http: aiohttp.ClientSession, over: Callable[[], bool]) -> list[float]:
    seconds = []
    while not over():
        seconds.append(await _timed(_visit(http)))
        await asyncio.sleep(PAGE_EVERY)
    return seconds


async def _visit(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as answer:
        await answer.read()


async def _timed(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _shown(result: Result) -> str:
    p99 = percentile(result["pages"], 0.99) * 1000
    return f"p99 {p99:.1f} ms  progress {max(result['ages']):.2f} s old  {result['rate']:,.0f} rows/s"


def _row(name: str, seconds: list[float]) -> tuple[str, ...]:
    figures = (*(percentile(seconds, share) for share in (0.5, 0.95, 0.99)), max(seconds))
    return (name, whole(len(seconds)), *(f"{each * 1000:.1f}" for each in figures))
