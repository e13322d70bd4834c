"""One measurement: a publisher as a process, or a file through `POST /simulate/`. And rounds in rotation."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.queues import Kind, declare
from benchmarks.rows import RowFiles
from benchmarks.services import ROOT, Listening, NotMeasured, Services
from promise_pub.consumer.broker import Broker

PEER_TIMEOUT = 300.0  # seconds; a peer takes a few
CURL_TIMEOUT = 900  # seconds
SETTLES = 0.5  # seconds the broker is given after a queue with all its messages was deleted

_T = TypeVar("_T")


@dataclass(frozen=True)
class Bench:
    """What every part needs. `rows` are for the fast peers; a quick run makes do with less in other ways too."""

    services: Services
    files: RowFiles
    rounds: int
    rows: int
    quick: bool
    skipped: list[str] = field(default_factory=list)

    async def csv(self, count: int) -> Path:
        return await asyncio.to_thread(self.files.csv, count)

    async def bodies(self, count: int) -> Path:
        return await asyncio.to_thread(self.files.bodies, count)


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


async def in_rotation(
    part: str,
    rounds: int,
    peers: Mapping[str, Callable[[], Awaitable[_T]]],
    shown: Callable[[_T], str],
) -> dict[str, list[_T]]:
    """A B C, A B C: what slows the machine down for a while slows all of them down."""
    results: dict[str, list[_T]] = {name: [] for name in peers}
    for number in range(1, rounds + 1):
        for name, measure in peers.items():
            result = await measure()
            results[name].append(result)
            say(f"{part} {number}/{rounds}  {name:<34} {shown(result)}")
    return results


async def publisher(
    bench: Bench,
    command: Sequence[str | Path],
    rows: int,
    window: int,
    kind: Kind = Kind.TRANSIENT,
) -> dict[str, Any]:
    """What a publisher told that had a fresh queue to itself."""
    rabbit, queue = bench.services.rabbit, f"bench-{uuid.uuid4()}"
    broker, bodies = Broker(rabbit), await bench.bodies(rows)
    await declare(rabbit, queue, kind)
    try:
        where = (rabbit.host, str(rabbit.port), rabbit.user, rabbit.vhost)
        output = await run(*command, *where, queue, str(window), bodies, secret=rabbit.password)
        if (held := await broker.count_ready(queue)) != rows:
            raise NotMeasured(f"{command[-1]} left {held:,} messages in the queue, not {rows:,}")
    finally:
        await broker.delete(queue)
        await asyncio.sleep(SETTLES)
    return dict(json.loads(output))


def python_peer(name: str) -> Sequence[str]:
    return sys.executable, "-m", "benchmarks.peers", name


def _arrived(report: dict[str, Any]) -> bool:
    """Tells whether the promise is kept, or, of a consumer that saves nothing and says so, every row was received."""
    rows, session = report["rows"], report["session"] or {}
    received_all = session.get("received") == rows["confirmed"] == rows["read"] - rows["rejected"]
    return report["verdict"] == "kept" or (session.get("saved") is None and received_all)


async def simulate(
    server: Listening, file: Path, *, idle: int = 5, mode: str = "batch", rate: int = 0
) -> dict[str, Any]:
    """The report of a file's run, which must have been completed, with every row where it was to go."""
    url = f"{server.url}/simulate/?mode={mode}&timeout={idle}&rate={rate}&format=json"
    report = dict(json.loads(await curl("-F", f"input_file=@{file}", url)))
    if report.get("state") != "completed" or not _arrived(report):
        raise NotMeasured(f"A run went wrong: {json.dumps(report)}")
    return report


async def curl(*arguments: str) -> str:
    return await run("curl", "-sS", "--max-time", str(CURL_TIMEOUT), *arguments)


async def run(*command: str | Path, secret: str = "") -> str:
    """What a command printed. Raises NotMeasured when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "BENCHMARK_PASSWORD": secret},
    )
    try:
        async with asyncio.timeout(max(PEER_TIMEOUT, CURL_TIMEOUT)):
            output, complaint = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        raise NotMeasured(f"{command[0]} failed: {complaint.decode(errors='replace')[-500:]}")
    return output.decode()


async def c_publisher(bench: Bench) -> Path | None:
    """The C peer, compiled; None, with a line that says why, where it cannot be."""
    program = bench.services.folder / "librabbitmq_publisher"
    if program.exists():
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        _skip(bench, "there is no C compiler (apt-get install gcc libc6-dev librabbitmq-dev)")
        return None
    source = ROOT / "benchmarks" / "librabbitmq_publisher.c"
    try:
        await run(compiler, "-O2", "-o", program, source, "-lrabbitmq")
    except NotMeasured as error:
        _skip(bench, f"it does not compile here (apt-get install librabbitmq-dev): {error}")
        return None
    return program


def _skip(bench: Bench, reason: str) -> None:
    line = f"The C publisher (librabbitmq) is skipped: {reason}."
    if line not in bench.skipped:
        bench.skipped.append(line)
        say(line)


def rates(results: Sequence[Mapping[str, Any]]) -> list[float]:
    return [result["rows"] / result["seconds"] for result in results]


def middle(values: Sequence[float]) -> float:
    return float(median(values))
