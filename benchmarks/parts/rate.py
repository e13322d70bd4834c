"""Whether a limited rate is held, and how evenly, as a consumer sees it."""

from __future__ import annotations

from typing import Any

import aiohttp

from benchmarks.counting_consumer import STRETCH
from benchmarks.figures import Section, Table, Target, whole
from benchmarks.measure import Bench, in_rotation, middle, simulate

RATE = 5000  # rows a second
SECONDS, QUICK_SECONDS = 10, 2
OFF = 0.02  # how far the rate may be off


async def rate(bench: Bench) -> Section:
    seconds = QUICK_SECONDS if bench.quick else SECONDS

    async def measure() -> dict[str, Any]:
        return await _once(bench, RATE * seconds)

    [rounds] = (await in_rotation("rate", bench.rounds, {f"rate={RATE}": measure}, _shown)).values()
    held = middle([result["rate"] for result in rounds])
    most = max(int(result["most"]) for result in rounds)
    even = RATE * STRETCH
    return Section(
        title="A limited rate",
        text=(
            f"`rate={RATE}` for {seconds} s. The consumer reads the queue and notes when each row arrives; the last "
            f"column is the largest number of rows in any {STRETCH * 1000:.0f} ms, of all rounds."
        ),
        table=Table(
            ("rows a second asked for", "reached", f"rows in {STRETCH * 1000:.0f} ms, even", "most"),
            [(whole(RATE), f"{held:,.1f}", whole(even), whole(most))],
        ),
        targets=[
            Target(
                f"rate={RATE} over {seconds} s",
                f"within {OFF:.0%}",
                f"{(held / RATE - 1) * 100:+.2f} %",
                abs(held / RATE - 1) <= OFF,
            ),
            Target(
                f"no burst: most rows in {STRETCH * 1000:.0f} ms", f"≤ {2 * even:,.0f}", whole(most), most <= 2 * even
            ),
        ],
    )  # fmt: skip


async def _once(bench: Bench, rows: int) -> dict[str, Any]:
    services, file = bench.services, await bench.csv(rows)
    async with (
        services.database() as database,
        services.counting_consumer("--read") as consumer,
        services.server(consumer, database) as server,
        aiohttp.ClientSession() as http,
    ):
        await simulate(server, file, rate=RATE)
        url = f"http://{consumer.host}:{consumer.port}/arrivals/"
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=10)) as answer:
            return dict(await answer.json())


def _shown(result: dict[str, Any]) -> str:
    return f"{result['rate']:>8,.1f} rows/s  {result['most']} at most in {STRETCH * 1000:.0f} ms"
