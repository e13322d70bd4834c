"""Too many, too slow, too full, and told to stop: the server answers, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import io
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from promise_pub.delivery.run.protocol import HURRIED_ABANDON
from tests.faults.checker import Rows, adds_up
from tests.faults.conftest import Trial
from tests.faults.world import JSON, World, until_files

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIECES = b"Name,1@x\n" * 1000


async def test_a_hundred_uploads_at_once(world: World, trial: type[Trial]) -> None:
    """As many as may wait become runs, each whole; the others are told to come again."""
    files = [Rows(20) for _ in range(110)]

    async def send(rows: Rows) -> str | None:
        headers = {**JSON, "Prefer": "respond-async", "Content-Type": "text/csv"}
        query = {"mode": "batch", "timeout": "0"}
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{world.url}/simulate/", data=rows.csv(), params=query, headers=headers) as answer:
                told = await answer.json(content_type=None)
                if answer.status == 202:
                    return str(told["id"])
                assert (answer.status, told["code"]) == (503, "too_many_waiting"), told
                assert answer.headers["Retry-After"]
                return None

    ids = await asyncio.gather(*map(send, files))
    taken = [(run_id, rows) for run_id, rows in zip(ids, files, strict=True) if run_id]
    assert len(taken) >= 100
    for run_id, rows in taken:
        await trial(world, "a hundred uploads at once").ends_kept(run_id, rows)


async def test_two_thousand_connections_that_say_nothing(world: World, trial: type[Trial]) -> None:
    rows = Rows(2000)
    async with AsyncExitStack() as stack:
        for _ in range(2000):
            idle = stack.enter_context(socket.socket())
            idle.setblocking(False)
            await asyncio.get_running_loop().sock_connect(idle, ("127.0.0.1", world.server_port))
        run_id = await world.send(rows.csv(), mode="live", timeout=1)
        await trial(world, "2,000 idle connections").ends_kept(run_id, rows)


async def test_uploads_that_never_end(world: World, trial: type[Trial]) -> None:
    """A byte now and then, from fifty clients: others are served all the while. When they go, nothing stays."""
    rows = Rows(1000)
    stop = asyncio.Event()

    async def drip() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            while not stop.is_set():
                yield b"a"
                await asyncio.sleep(0.1)

        async with aiohttp.ClientSession() as http:
            headers = {"Content-Type": "text/csv"}
            async with http.post(f"{world.url}/simulate/", data=pieces(), headers=headers) as answer:
                await answer.read()

    clients = [asyncio.create_task(drip()) for _ in range(50)]
    try:
        await until_files(world, ".part", 50)
        run_id = await world.send(rows.csv(), mode="live", timeout=1)
        await trial(world, "50 uploads that never end").ends_kept(run_id, rows)
    finally:
        stop.set()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    await until_files(world, ".part", 0)


async def test_an_upload_to_a_full_disk(world: World, trial: type[Trial]) -> None:
    """The server may write no more than so many bytes to a file, which is how a quota looks."""
    assert world.server.command
    pid = world.server.command.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        status, told = await world.ask(
            "POST", "/simulate/?filename=big.csv", data={"input_file": io.BytesIO(PIECES * 30)}
        )
        assert (status, told["code"]) == (507, "disk_full"), told
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    await until_files(world, ".part", 0)
    rows = Rows(3000)
    run_id = await world.send(rows.csv(), mode="batch", timeout=0)
    await trial(world, "disk full at an upload").ends_kept(run_id, rows)


async def test_a_consumer_that_cannot_write_its_log(world: World, trial: type[Trial]) -> None:
    """Its standard error is a full disk, and it has much to complain about."""
    await world.kill("consumer")
    world.consumer.program = full_log(world.folder / "consumer.ini")
    try:
        await world.consumer.start()
        rows = Rows(2500)
        run_id = await world.send_some(rows.csv(), mode="live", timeout=2, rate=1500)
        world.go_on()
        world.lines["consumer-database"].cut()
        world.lines["consumer-broker"].cut()
        await trial(world, "disk full at the consumer's log").ends_kept(run_id, rows)
    finally:
        await world.kill("consumer")
        world.consumer.program = None


def full_log(path: Path) -> tuple[str, ...]:
    code = (
        "import os, runpy, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 2); "
        f"sys.argv = ['promise-pub', 'consumer', '-c', {str(path)!r}]; "
        "runpy.run_module('promise_pub', run_name='__main__')"
    )
    return ("-c", code)


@pytest.mark.parametrize("state", ["queued", "negotiating", "publishing", "draining", "uploading"])
async def test_a_server_that_is_told_to_stop(world: World, trial: type[Trial], state: str) -> None:
    """Exit code 0 within ten seconds (twenty, where the machine stands still meanwhile), the run interrupted at its checkpoint, the session removed, and it can go on."""
    rows, last = Rows(3000, repeats=3), Rows(10)
    run_id, known = await begun(world, rows, state)
    waiting = await world.send(last.csv(), mode="batch", timeout=0) if state == "queued" else None
    uploading = asyncio.create_task(endless(world)) if state == "uploading" else None
    if uploading:
        await until_files(world, ".part", 1)
    command = world.server.command
    world.go_on()
    began_to_stop = time.monotonic()
    async with asyncio.timeout(20):
        assert await world.server.stop() == 0
    took = time.monotonic() - began_to_stop
    if uploading:
        assert await uploading == 503
    if known and state != "draining":
        await world.until_removed(known)
        assert known not in await world.broker.queues()
    world.lines["server-consumer"].cut()
    for line in world.lines.values():
        line.heal()
    await world.server.start()
    report = await world.report(run_id)
    how = (report["state"], report["error"]["code"])
    assert how == ("interrupted", "interrupted"), (report, command and command.output)
    adds_up(report)
    left = f"did not say that it removed the session {known}" in str(report["error"])
    # A consumer that cannot save does not end its session while the server waits, nor one that the machine holds up:
    # then the report says so.
    slow = known is not None and took > HURRIED_ABANDON
    assert left == (state == "draining") or (left and slow), report
    for stopped, its in {run_id: rows, **({waiting: last} if waiting else {})}.items():
        await world.resume(stopped)
        await trial(world, f"SIGTERM, {state}").ends_kept(stopped, its)


async def begun(world: World, rows: Rows, state: str) -> tuple[str, str | None]:
    """A run that is in this state and stays in it until it may go on, and its session; None while there is none."""
    parameters = {"mode": "batch", "timeout": 1, "rate": 1500}
    if state == "negotiating":
        world.lines["server-consumer"].stall()
        run_id = await world.send(rows.csv(), **parameters)
        await world.until(run_id, lambda run: run["state"] == "negotiating")
        await world.lines["server-consumer"].until(lambda: world.lines["server-consumer"].held > 0)
        return run_id, None
    run_id = await world.send_some(rows.csv(), **parameters)
    report = await world.report(run_id)
    if state == "draining":
        world.lines["consumer-database"].stall()
        world.go_on()
        await world.until(run_id, lambda run: run["state"] == "draining")
    return run_id, str(report["session"]["uuid"])


async def endless(world: World) -> int:
    """The status that an upload without an end gets."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield PIECES
            await asyncio.sleep(0.05)

    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "text/csv", "Expect": "100-continue"}
        async with http.post(f"{world.url}/simulate/", data=pieces(), headers=headers) as answer:
            return answer.status
