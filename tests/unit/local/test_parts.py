"""Parts of the stack: waiting until they are ready, their end, and stopping them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from promise_pub.errors import PartFailed
from promise_pub.local.parts import StackPart, start_part
from promise_pub.local.processes import ProcessRecords, started_at

Start = Callable[..., Awaitable[StackPart]]

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
UP = re.compile(rb"up")


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a part that runs some Python."""
    started: list[StackPart] = []
    records = ProcessRecords(tmp_path / "processes.json")

    async def start(code: str, **options: Any) -> StackPart:
        command = [sys.executable, "-c", code]
        started.append(
            await start_part(
                "example",
                command,
                log=tmp_path / "example.log",
                records=records,
                environment={},
                cwd=tmp_path,
                **options,
            )
        )
        return started[-1]

    yield start
    for part in started:
        await part.stop(grace=0.1)
    assert json.loads((tmp_path / "processes.json").read_text()) == []


async def never() -> bool:
    return False


async def test_a_part_that_ends_before_it_is_ready_is_quoted(start: Start, tmp_path: Path) -> None:
    part = await start("raise SystemExit('no more tea')")
    with pytest.raises(PartFailed) as caught:
        await part.wait_until(never, 30)
    assert caught.value.message == f"example ended with exit code 1: no more tea (more in {tmp_path}/example.log)"


async def test_a_part_that_takes_too_long_is_not_waited_for(start: Start, tmp_path: Path) -> None:
    part = await start("import time; time.sleep(60)")
    with pytest.raises(PartFailed) as caught:
        await part.wait_until(never, 0.1)
    assert caught.value.message == f"example was not ready in time: its log {tmp_path}/example.log is empty"


async def test_a_line_is_found_and_what_follows_never_blocks_the_part(start: Start) -> None:
    part = await start("print('listening on 7', flush=True); print('x' * 1_000_000, flush=True)", piped=True)
    found = await part.wait_for_line(re.compile(rb"listening on (\d+)"), 30)
    assert found[1] == b"7"
    async with asyncio.timeout(30):
        assert await part.process.wait() == 0


async def test_a_part_that_ends_without_the_line_has_failed(start: Start) -> None:
    part = await start("print('nothing of it')", piped=True)
    with pytest.raises(PartFailed, match="example ended with exit code 0"):
        await part.wait_for_line(re.compile(rb"listening"), 30)


async def test_a_part_that_does_not_stop_is_killed(start: Start) -> None:
    part = await start(STUBBORN, piped=True)
    await part.wait_for_line(UP, 30)
    await part.stop(grace=0.1)
    assert part.process.returncode == -signal.SIGKILL
    assert part.describe_end() == "example was killed by signal 9"
    assert started_at(part.process.pid) is None
    await part.stop()


async def test_the_log_of_the_start_before_is_kept(start: Start, tmp_path: Path) -> None:
    for text in ("first", "second"):
        part = await start(f"import sys; sys.exit('{text}')")
        with pytest.raises(PartFailed):
            await part.finish(30)
        await part.stop()
    assert (tmp_path / "example.log").read_text() == "second\n"
    assert part.previous_log.read_text() == "first\n"
