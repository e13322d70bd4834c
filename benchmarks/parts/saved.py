"""From the upload to every row saved: the bundled consumer beside one that commits each row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.figures import Section, Table, Target, ratio, spread, whole
from benchmarks.measure import Bench, in_rotation, middle, rates, simulate

TIMEOUT = 5  # seconds: what the consumer may wait for more rows
BATCH, LIVE, FEW = "bundled, batch", "bundled, live", "bundled, batch, few rows"
ONE_ROW = "one row, one commit; batch"

Result = Mapping[str, Any]


async def saved(bench: Bench) -> Section:
    rows, timeout = bench.rows // 2, 1 if bench.quick else TIMEOUT
    measures = {
        BATCH: partial(_run, bench, "batch", rows, timeout),
        LIVE: partial(_run, bench, "live", rows, timeout),
        FEW: partial(_run, bench, "batch", 1000, timeout),
        ONE_ROW: partial(_one_row, bench, rows // 10, timeout),
    }
    results = await in_rotation("saved", bench.rounds, measures, _shown)
    beside = middle(rates(results[ONE_ROW]))
    slowest = min(middle(rates(results[name])) for name in (BATCH, LIVE)) / beside
    longest = max(result["seconds"] for result in results[FEW])
    return Section(
        title="Upload to every row saved",
        text=(
            "A run from its turn to its verdict, the rows inserted into PostgreSQL with its usual durability. The other "
            "consumer inserts and commits one row at a time (it gets a tenth of the rows: it is the rate that counts); "
            f"the {timeout} s it waits for more rows at the end are not counted. The bundled consumer is told how many "
            "rows were sent and does not wait: its seconds are whole."
        ),
        table=_table(results, beside),
        targets=[
            Target("bundled consumer beside one row a commit", "≥ 5 ×", ratio(slowest), slowest >= 5),
            Target(
                f"no idle timeout ({timeout} s) when told what was sent",
                f"1,000 rows in < {timeout} s",
                f"{longest:.2f} s",
                longest < timeout,
            ),
        ],
    )  # fmt: skip


async def _run(bench: Bench, mode: str, rows: int, idle: int) -> Result:
    services, file = bench.services, await bench.csv(rows)
    async with (
        services.database() as database,
        services.bundled_consumer(database) as consumer,
        services.server(consumer, database) as server,
    ):
        report = await simulate(server, file, idle=idle, mode=mode)
        return {"rows": report["db_count"], "seconds": report["seconds"]["total"]}


async def _one_row(bench: Bench, rows: int, idle: int) -> Result:
    services, file = bench.services, await bench.csv(rows)
    async with (
        services.database() as database,
        services.one_row_consumer(database) as consumer,
        services.server(consumer, database) as server,
    ):
        report = await simulate(server, file, idle=idle)
        return {"rows": report["db_count"], "seconds": report["seconds"]["total"] - idle}


def _shown(result: Result) -> str:
    return f"{rates([result])[0]:>8,.0f} rows/s  {result['seconds']:.2f} s"


def _table(results: Mapping[str, list[Result]], beside: float) -> Table:
    rows = [
        (
            name,
            whole(each[0]["rows"]),
            f"{middle([result['seconds'] for result in each]):.2f}",
            whole(middle(rates(each))),
            spread(rates(each)),
            ratio(middle(rates(each)) / beside),
        )
        for name, each in results.items()
    ]
    headings = ("consumer", "rows", "seconds", "rows/s", "spread", "beside one row a commit")
    return Table(headings, rows)
