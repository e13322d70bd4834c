"""How large a window the publisher needs: rate and latency of confirms, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.chart import line
from benchmarks.figures import Section, Table, Target, spread, whole
from benchmarks.measure import Bench, in_rotation, middle, publisher, python_peer, rates
from promise_pub.settings.model import RabbitSettings

WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
ENOUGH = 0.97  # of the best rate; what is beyond it only waits in the broker
_LATENCIES = ("p50", "p95", "p99", "max")

Results = dict[int, list[dict[str, Any]]]


async def window(bench: Bench) -> Section:
    windows = (64, 512, 2048) if bench.quick else WINDOWS
    rows = bench.rows // 4
    measures = {f"{size:,}": partial(publisher, bench, python_peer("promise-pub"), rows, size) for size in windows}
    found = await in_rotation("window", bench.rounds, measures, _shown)
    results = dict(zip(windows, found.values(), strict=True))
    speeds = [(size, middle(rates(results[size]))) for size in windows]
    delays = [(size, _latency(results[size], "p99")) for size in windows]
    return Section(
        title="Window against rate and latency",
        text=(
            f"promise-pub's publisher alone, {rows:,} rows into a queue that is not durable, by the number of "
            "messages that may be unconfirmed. Latency is from writing a row to its confirm, in milliseconds."
        ),
        table=_table(results),
        charts={
            "bench-window-rate.svg": line("Confirmed rows a second", "window", speeds),
            "bench-window-latency.svg": line("Confirm latency, p99, ms", "window", delays),
        },
        targets=[_target(dict(speeds), dict(delays))],
    )


def _shown(result: dict[str, Any]) -> str:
    latency = "  ".join(f"{name} {result['confirm_ms'][name]:.1f}" for name in _LATENCIES)
    return f"{rates([result])[0]:>8,.0f} rows/s  {latency} ms"


def _latency(results: Sequence[dict[str, Any]], name: str) -> float:
    return middle([result["confirm_ms"][name] for result in results])


def _table(results: Results) -> Table:
    rows = [
        (
            whole(size),
            whole(middle(rates(each))),
            spread(rates(each)),
            *(f"{_latency(each, name):.1f}" for name in _LATENCIES),
        )
        for size, each in results.items()
    ]
    return Table(("window", "rows/s", "spread", *_LATENCIES), rows)


def _target(speeds: dict[int, float], delays: dict[int, float]) -> Target:
    """The default window should be the smallest that the rate needs."""
    chosen = RabbitSettings(host="").window
    needed = min(size for size, speed in speeds.items() if speed >= ENOUGH * max(speeds.values()))
    return Target(
        f"default window, {chosen:,}: no bigger than the rate needs",
        f"the smallest with {ENOUGH:.0%} of the best rate",
        f"{needed:,} (p99 {delays[needed]:.1f} ms)",
        chosen <= needed,
    )
