"""Measures a run at full speed while strangers and a viewer attack its server in every way that the tests know, beside the
same run alone: its rate, and how soon those who work are answered."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import Section, Table, Target, percentile, ratio, whole
from benchmarks.measure import Bench, in_rotation, middle
from benchmarks.services import Listening, NotMeasured
from promise_pub import db
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.settings.model import DatabaseSettings
from tests.attacks import ATTACKS

ASK_EVERY = 0.05  # seconds between two requests of the operator and of the load balancer
BEFORE = 5.0  # seconds of attack before the run begins
PACE = 4  # rows a second of the run that goes before
MANY = 5  # times the rows of the other parts: an attack takes some seconds to be in full swing
_TIMEOUT = 30  # seconds
_ALONE, _ATTACKED = "alone", "under attack"

Result = dict[str, Any]


async def attacked(bench: Bench) -> Section:
    file = await bench.csv(bench.rows * MANY)
    rounds = await in_rotation(
        "attacked",
        bench.rounds,
        {name: partial(_once, bench, file, attack=name == _ATTACKED) for name in (_ALONE, _ATTACKED)},
        lambda result: f"{result['rate']:,.0f} rows/s  GET / p99 {_p99(result['page']):.1f} ms",
    )
    alone, under = rounds[_ALONE], rounds[_ATTACKED]
    kept = middle([each["rate"] for each in under]) / middle([each["rate"] for each in alone])
    pages, health = (_p99(_all(under, name)) for name in ("page", "health"))
    return Section(
        title="A run under attack",
        text=(
            f"{bench.rows * MANY:,} rows at full speed, alone and while a process beside it attacks in {len(ATTACKS)} ways at "
            "once (`tests/attacks.py`): thousands of connections that say nothing, or drip; logins, uploads and readers "
            "that never end; compressed bodies, 500 streams, page hits, guessed tokens, long tables. It has its own "
            "share of the processors, which the run lacks. An operator asks for `GET /`, a load balancer for "
            f"`GET /healthz`, each on a new connection every {ASK_EVERY * 1000:.0f} ms. Every row was received."
        ),
        table=Table(
            ("", "rows/s", "GET / p50, ms", "p99", "GET /healthz p50, ms", "p99", "refused"),
            [_row(name, rounds[name]) for name in rounds],
        ),
        targets=[
            Target("rate of a run under attack", "≥ 0.8 ×", ratio(kept), kept >= 0.8),
            Target("`GET /` of an operator under attack, p99", "≤ 50 ms", f"{pages:.1f} ms", pages <= 50),
            Target("`GET /healthz` under attack, p99", "≤ 50 ms", f"{health:.1f} ms", health <= 50),
        ],
    )


async def _once(bench: Bench, file: Path, *, attack: bool) -> Result:
    services = bench.services
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database, auth="users") as server,
    ):
        operator, viewer = await _tokens(database)
        headers = {"Authorization": f"Bearer {operator}", "Accept": "application/json"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as http:
            # It has the turn until the attack has begun.
            await _send(http, server, await bench.csv(int(BEFORE * PACE)), rate=PACE)
            run = await _send(http, server, file)
            if not attack:
                return await _measure(http, server, run, headers)
            async with services.listening("-m", "tests.attacks", server.url, viewer, run):
                return await _measure(http, server, run, headers)


async def _tokens(database: DatabaseSettings) -> tuple[str, str]:
    async with db.open_pool(database, max_size=1) as pool:
        accounts = StoredAccounts(pool)
        operator, _ = await accounts.add_token("operator", Role.OPERATOR, 1)
        viewer, _ = await accounts.add_token("viewer", Role.VIEWER, 1)
    return operator, viewer


async def _send(http: aiohttp.ClientSession, server: Listening, file: Path, *, rate: int = 0) -> str:
    """Uploads the file; the id of its run."""
    headers = {"Prefer": "respond-async", "Content-Type": "text/csv"}
    content = await asyncio.to_thread(file.read_bytes)
    query = {"mode": "batch", "rate": str(rate)}
    async with http.post(f"{server.url}/simulate/", data=content, params=query, headers=headers) as answer:
        if answer.status != HTTPStatus.ACCEPTED:
            raise NotMeasured(f"The run was not accepted: {await answer.text()}")
        return str((await answer.json())["id"])


async def _measure(http: aiohttp.ClientSession, server: Listening, run: str, headers: dict[str, str]) -> Result:
    """Asks until the run has ended: its rate, seconds of each answer while it published, and those that were refused."""
    seconds: dict[str, list[float]] = {"page": [], "health": []}
    refused = 0
    while True:
        report = await _report(http, f"{server.url}/runs/{run}?format=json")
        if report["error"]:
            raise NotMeasured(f"The run failed: {report['error']}")
        if report["state"] == "completed":
            break
        for name, path, given in (("page", "/", {**headers, "Accept": "text/html"}), ("health", "/healthz", {})):
            status, took = await _ask(f"{server.url}{path}", given)
            if report["state"] == "publishing":
                seconds[name].append(took)
                refused += status != HTTPStatus.OK
        await asyncio.sleep(ASK_EVERY)
    if report["session"]["received"] != report["rows"]["confirmed"]:
        raise NotMeasured(f"Rows were lost: {report}")
    return {**seconds, "refused": refused, "rate": report["rows"]["confirmed"] / report["seconds"]["publishing"]}


async def _report(http: aiohttp.ClientSession, url: str) -> Result:
    async with http.get(url) as answer:
        if answer.status != HTTPStatus.OK:
            raise NotMeasured(f"An operator was refused: {answer.status} {await answer.text()}")
        return dict(await answer.json())


async def _ask(url: str, headers: dict[str, str]) -> tuple[int, float]:
    """The status and the seconds of an answer, on a new connection."""
    started = time.perf_counter()
    timeout, connector = aiohttp.ClientTimeout(total=_TIMEOUT), aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as own:
        async with own.get(url, headers=headers) as answer:
            await answer.read()
            return answer.status, time.perf_counter() - started


def _all(rounds: list[Result], name: str) -> list[float]:
    return [seconds for result in rounds for seconds in result[name]]


def _p99(seconds: list[float]) -> float:
    return percentile(seconds, 0.99) * 1000


def _row(name: str, rounds: list[Result]) -> tuple[str, ...]:
    figures = [percentile(_all(rounds, of), share) for of in ("page", "health") for share in (0.5, 0.99)]
    refused = sum(result["refused"] for result in rounds)
    return (
        name,
        whole(middle([each["rate"] for each in rounds])),
        *(f"{each * 1000:.1f}" for each in figures),
        whole(refused),
    )
