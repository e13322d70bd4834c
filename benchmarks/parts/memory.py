"""Whether memory and rate depend on the number of rows: fresh servers, files of all sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.chart import line
from benchmarks.figures import Section, Table, Target, spread, whole
from benchmarks.measure import Bench, in_rotation, middle, rates
from benchmarks.parts.publish import real_run

SIZES = (100_000, 300_000, 1_000_000, 5_000_000)
QUICK_SIZES = (10_000, 50_000)
# The most the largest file may differ from the smallest.
MORE_MEMORY = 10  # MB
LESS_RATE = 0.95  # share

Result = Mapping[str, Any]


async def memory(bench: Bench) -> Section:
    sizes = QUICK_SIZES if bench.quick else SIZES
    measures = {f"{rows:,} rows": partial(real_run, bench, rows, "--purge") for rows in sizes}
    found = await in_rotation("memory", bench.rounds, measures, _shown)
    results = dict(zip(sizes, found.values(), strict=True))
    for rows in sizes:
        bench.files.csv(rows).unlink()
    peaks = [(rows, _peak(each)) for rows, each in results.items()]
    return Section(
        title="Memory and rate over the number of rows",
        text=(
            "Peak resident memory of a fresh server after one run, and the run's rate. The consumer only counts, and "
            "purges the queue every second: what millions of messages cost the broker would slow every publisher."
        ),
        table=_table(results),
        charts={"bench-memory.svg": line("Server's peak memory, MB", "rows of the file", peaks)},
        targets=_targets(results),
    )


def _shown(result: Result) -> str:
    return f"{rates([result])[0]:>8,.0f} rows/s  {result['peak']:.1f} MB"


def _peak(results: list[Result]) -> float:
    return middle([result["peak"] for result in results])


def _table(results: Mapping[int, list[Result]]) -> Table:
    rows = [
        (
            whole(size),
            f"{_peak(each):.1f}",
            whole(middle(rates(each))),
            spread(rates(each)),
        )
        for size, each in results.items()
    ]
    return Table(("rows", "peak, MB", "rows/s", "spread"), rows)


def _targets(results: Mapping[int, list[Result]]) -> list[Target]:
    (few, first), *_, (many, last) = results.items()
    grown = _peak(last) - _peak(first)
    rate = middle(rates(last)) / middle(rates(first))
    return [
        Target(
            f"peak memory at {many:,} rows beside {few:,}",
            f"≤ {MORE_MEMORY} MB more",
            f"{grown:+.1f} MB",
            grown <= MORE_MEMORY,
        ),
        Target(
            f"rate at {many:,} rows beside {few:,}",
            f"≥ {LESS_RATE} ×",
            f"{rate:.2f} ×",
            rate >= LESS_RATE,
        ),
    ]
