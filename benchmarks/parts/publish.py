"""How fast rows are published and confirmed: a real run beside publishers in C and Python."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.chart import bars
from benchmarks.figures import Section, Table, Target, ratio, spread, whole
from benchmarks.measure import (
    Bench,
    c_publisher,
    in_rotation,
    middle,
    publisher,
    python_peer,
    rates,
    simulate,
)
from benchmarks.queues import Kind
from benchmarks.rows import BODY_BYTES

C, PIKA = "C, librabbitmq, window 2,000", "pika, one by one"
AWAITED, IN_FLIGHT = "aio-pika, awaited", "aio-pika, 500 in flight"
OURS = "promise-pub, a run with its ledger"
C_DURABLE, OURS_DURABLE = "C, librabbitmq; durable queue", "promise-pub, a run; durable queue"

Result = Mapping[str, Any]


async def publish(bench: Bench) -> Section:
    results = await in_rotation("publish", bench.rounds, await _peers(bench), _shown)
    by_peer = {name: rates(rounds) for name, rounds in results.items()}
    processor = {name: [_processor(result) for result in each] for name, each in results.items()}
    medians = [(name, middle(each)) for name, each in by_peer.items()]
    return Section(
        title="Confirmed publish rate",
        text=(
            f"Bodies of {BODY_BYTES} bytes, persistent, mandatory, confirmed, into a fresh classic queue each time: as "
            "consumers in the field declare it, not durable, and where the table says so as the bundled consumer does, "
            "durable: there the broker's disk is the limit for all. promise-pub is measured as a whole: `python main.py` "
            "takes the file by `POST /simulate/` with its ledger on, against a consumer that only declares the queue; its "
            "rate is from the first row read to the last confirm, its processor time is the whole server's from before "
            "the upload to after the answer."
        ),
        table=_table(results, by_peer, processor),
        charts={"bench-publish.svg": bars("Confirmed rows a second (median)", medians)},
        targets=_targets(by_peer, processor),
    )


async def _peers(bench: Bench) -> dict[str, Callable[[], Awaitable[Result]]]:
    """The slow ones get fewer rows: it is the rate that counts."""
    fast, few = bench.rows, max(bench.rows // 40, 500)
    peers: dict[str, Callable[[], Awaitable[Result]]] = {}
    if program := await c_publisher(bench):
        peers[C] = partial(publisher, bench, [program], fast, 2000)
        peers[C_DURABLE] = partial(publisher, bench, [program], fast, 2000, Kind.DURABLE)
    peers[PIKA] = partial(publisher, bench, python_peer("pika"), few, 1)
    peers[AWAITED] = partial(publisher, bench, python_peer("aio-pika-awaited"), few, 1)
    peers[IN_FLIGHT] = partial(publisher, bench, python_peer("aio-pika-in-flight"), few * 4, 500)
    peers[OURS] = partial(real_run, bench, fast)
    peers[OURS_DURABLE] = partial(real_run, bench, fast, "--queue", Kind.DURABLE)
    return peers


async def real_run(
    bench: Bench, rows: int, *consumer_options: str, features: Mapping[str, Any] | None = None
) -> Result:
    """A fresh server runs a file against the counting consumer; its processor time and peak memory besides."""
    file = await bench.csv(rows)
    services = bench.services
    async with (
        services.database() as database,
        services.counting_consumer(*consumer_options) as consumer,
        services.server(consumer, database, features) as server,
    ):
        before = server.processor()
        report = await simulate(server, file)
        return {
            "rows": report["rows"]["confirmed"],
            "seconds": report["seconds"]["publishing"],
            "processor": server.processor() - before,
            "peak": server.peak_memory(),
        }


def _shown(result: Result) -> str:
    return f"{rates([result])[0]:>8,.0f} rows/s  {_processor(result):6.1f} µs a row"


def _processor(result: Result) -> float:
    """Microseconds a row."""
    return float(result["processor"] / result["rows"] * 1e6)


def _table(
    results: Mapping[str, Sequence[Result]],
    by_peer: Mapping[str, Sequence[float]],
    processor: Mapping[str, Sequence[float]],
) -> Table:
    ours = middle(by_peer[OURS])
    rows = [
        (
            name,
            whole(results[name][0]["rows"]),
            whole(middle(each)),
            spread(each),
            ratio(ours / middle(each)),
            f"{middle(processor[name]):.1f}",
        )
        for name, each in by_peer.items()
    ]
    headings = ("publisher", "rows", "rows/s", "spread", "promise-pub is", "processor, µs a row")
    return Table(headings, rows)


def _targets(by_peer: Mapping[str, Sequence[float]], processor: Mapping[str, Sequence[float]]) -> list[Target]:
    ours, busy = middle(by_peer[OURS]), middle(processor[OURS])
    targets = []
    for peer, wanted in ((C, 0.95), (AWAITED, 9.0)):
        if peer in by_peer:
            reached = ours / middle(by_peer[peer])
            targets.append(Target(f"a run beside {peer}", f"≥ {wanted} ×", ratio(reached), reached >= wanted))
    return [
        *targets,
        Target("a run's processor time a row", "≤ 8 µs", f"{busy:.1f} µs", busy <= 8),
    ]
