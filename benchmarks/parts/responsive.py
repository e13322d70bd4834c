"""Measures `GET /` while a run goes at full speed, alone and beside people who read the rows of another run, and the age
of the progress that is shown."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import Section, Table, Target, percentile, whole
from benchmarks.measure import Bench, curl, in_rotation, middle
from benchmarks.services import Listening, NotMeasured

PAGE_EVERY, LOOK_EVERY = 0.02, 0.05  # seconds between two visits, and two looks at the progress
READERS, READ_EVERY = 200, 10.0  # people who read rows, and seconds from one page to the next of each
_REQUEST_TIMEOUT = 30  # seconds
_ALONE, _BESIDE_READERS = "GET / while publishing", f"GET / beside {READERS} readers"

Result = dict[str, Any]


async def responsive(bench: Bench) -> Section:
    file = await bench.csv(bench.rows * 2)
    rounds = await in_rotation(
        "responsive",
        bench.rounds,
        {name: partial(_once, bench, file, readers) for name, readers in ((_ALONE, 0), (_BESIDE_READERS, READERS))},
        _shown,
    )
    alone, beside = rounds[_ALONE], rounds[_BESIDE_READERS]
    ages = _all(alone, "ages")
    p99_alone, p99_beside = (percentile(_all(each, "pages"), 0.99) * 1000 for each in (alone, beside))
    oldest = max(ages)
    return Section(
        title="Pages while a run goes at full speed",
        text=(
            f"`GET /` every {PAGE_EVERY * 1000:.0f} ms while {bench.rows * 2:,} rows are published at "
            f"{_rate(alone)} rows/s, and how old the newest change of the confirmed rows is, as seen every "
            f"{LOOK_EVERY * 1000:.0f} ms by `GET /runs/{{id}}`. Then the same while {READERS} people read the rows of "
            f"another run of {bench.rows:,}, a page every {READ_EVERY:g} s each, and the run goes at {_rate(beside)} "
            "rows/s. All rounds together."
        ),
        table=Table(
            ("milliseconds", "count", "p50", "p95", "p99", "max"),
            [
                _row("GET /", _all(alone, "pages")),
                _row("age of the progress", ages),
                _row(f"GET / beside {READERS} readers", _all(beside, "pages")),
                _row("a page of rows", _all(beside, "read")),
            ],
        ),
        targets=[
            Target("`GET /` during a run, p99", "≤ 50 ms", f"{p99_alone:.1f} ms", p99_alone <= 50),
            Target(f"`GET /` beside {READERS} readers, p99", "≤ 50 ms", f"{p99_beside:.1f} ms", p99_beside <= 50),
            Target("age of the progress shown", "≤ 1 s", f"{oldest:.2f} s", oldest <= 1),
        ],
    )


def _all(rounds: list[Result], name: str) -> list[float]:
    return [seconds for result in rounds for seconds in result[name]]


def _rate(rounds: list[Result]) -> str:
    return whole(middle([result["rate"] for result in rounds]))


async def _once(bench: Bench, file: Path, readers: int) -> Result:
    services = bench.services
    limits = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT)
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database) as server,
        aiohttp.ClientSession(server.url, timeout=limits) as http,
        _people_who_read(bench, server, readers) as read,
    ):
        address = await _start(server, file)
        await _until(http, address, ("publishing", "draining", "completed"))
        read.clear()
        looking = asyncio.create_task(_ages(http, address))
        try:
            pages = await _visits(http, looking.done)
            ages, report = await looking
        finally:
            looking.cancel()
        confirmed, seconds = report["rows"]["confirmed"], report["seconds"]["publishing"]
        return {"pages": pages, "ages": ages, "read": [*read], "rate": confirmed / seconds}


@asynccontextmanager
async def _people_who_read(bench: Bench, server: Listening, readers: int) -> AsyncIterator[list[float]]:
    """Seconds that each page of rows took so far, while so many people read them."""
    took = list[float]()
    if not readers:
        yield took
        return
    limits = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.url, timeout=limits, connector=connector) as http:
        address = await _start(server, await bench.csv(bench.rows))
        await _until(http, address, ("completed",))
        reading = [asyncio.create_task(_read(http, f"{address}/rows", bench.rows, took)) for _ in range(readers)]
        try:
            yield took
        finally:
            for task in reading:
                task.cancel()
            ended = await asyncio.gather(*reading, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _read(http: aiohttp.ClientSession, address: str, rows: int, took: list[float]) -> None:
    """Reads a page anywhere among the rows every `READ_EVERY` seconds, for ever."""
    await asyncio.sleep(random.uniform(0, READ_EVERY))
    while True:
        url = f"{address}?after={random.randrange(rows)}"
        took.append(await _timed(_visit(http, url)))
        await asyncio.sleep(random.uniform(0, 2 * READ_EVERY))


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


async def _until(http: aiohttp.ClientSession, address: str, states: Collection[str]) -> None:
    while True:
        report = await _report(http, address)
        if report["error"]:
            raise NotMeasured(f"The run failed: {report['error']}")
        if report["state"] in states:
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
        seconds.append(await _timed(_visit(http, "/")))
        await asyncio.sleep(PAGE_EVERY)
    return seconds


async def _visit(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        await answer.read()
        if answer.status != HTTPStatus.OK:
            raise NotMeasured(f"{url} was answered with {answer.status}.")


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
