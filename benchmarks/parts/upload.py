"""How fast a large file is taken in: stored and hashed by promise-pub, only written by a bare handler."""

from __future__ import annotations

import asyncio
import os
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.figures import Section, Table, Target, ratio, spread, whole
from benchmarks.measure import Bench, curl, in_rotation, middle

BYTES, QUICK_BYTES = 1_000_000_000, 50_000_000
WANTED = 0.5
BARE, DURABLE = "bare handler", "bare handler, synced to the disk"
FORM, BODY = "promise-pub, form", "promise-pub, body"


async def upload(bench: Bench) -> Section:
    size = QUICK_BYTES if bench.quick else BYTES
    file = await asyncio.to_thread(bench.files.csv_of_size, size)
    # Streamed, which --data-binary is not; to a path ending in / -T would add the file's name.
    as_body = ("-X", "POST", "-H", "Content-Type: text/csv", "-T", str(file), "--request-target")
    as_form = ("-F", f"input_file=@{file}")
    measures = {
        BARE: partial(_bare, bench, (*as_body, "/")),
        DURABLE: partial(_bare, bench, (*as_body, "/?sync=yes")),
        FORM: partial(_ours, bench, as_form),
        BODY: partial(_ours, bench, (*as_body, "/simulate/")),
    }
    speed = partial(_megabytes, file.stat().st_size)
    results = await in_rotation("upload", bench.rounds, measures, lambda seconds: f"{speed(seconds):,.0f} MB/s")
    speeds = {name: [speed(seconds) for seconds in each] for name, each in results.items()}
    await asyncio.to_thread(file.unlink)
    beside = middle(speeds[BARE])
    return Section(
        title="Upload",
        text=(
            f"{size / 1e6:,.0f} MB of rows by `curl`, until the answer: promise-pub's is 202 (`Prefer: respond-async`), "
            "when the file is hashed, synced to the disk and named, its first rows are read and its run is in the "
            "ledger. The bare aiohttp handler writes the body to a file on the same disk, and nothing else."
        ),
        table=_table(speeds, beside),
        targets=[
            Target(f"{name} beside the bare handler", f"≥ {WANTED} ×", ratio(share), share >= WANTED)
            for name in (FORM, BODY)
            if (share := middle(speeds[name]) / beside)
        ],
    )  # fmt: skip


async def _bare(bench: Bench, how: tuple[str, ...]) -> float:
    services = bench.services
    with tempfile.TemporaryDirectory(dir=services.folder) as folder:
        async with services.listening("-m", "benchmarks.bare_upload", Path(folder)) as server:
            return await _timed(*how, server.url)


async def _ours(bench: Bench, how: tuple[str, ...]) -> float:
    """The run that follows is stopped with its server."""
    services = bench.services
    async with (
        services.database() as database,
        services.counting_consumer() as consumer,
        services.server(consumer, database) as server,
    ):
        return await _timed(*how, "-H", "Prefer: respond-async", f"{server.url}/simulate/")


async def _timed(*arguments: str) -> float:
    """curl's own seconds, from its start to the whole answer. What was written before is on disk by then."""
    await asyncio.to_thread(os.sync)
    return float(await curl("--fail", "-o", "/dev/null", "-w", "%{time_total}", *arguments))


def _megabytes(size: int, seconds: float) -> float:
    """Millions of bytes a second."""
    return size / seconds / 1e6


def _table(speeds: dict[str, list[float]], beside: float) -> Table:
    rows = [(name, whole(middle(each)), spread(each), ratio(middle(each) / beside)) for name, each in speeds.items()]
    return Table(("taken in by", "MB/s", "spread", "beside the bare handler"), rows)
