"""What ends although nobody stopped it: started again at the same address, or told where that is of no use."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from promise_pub.errors import PartFailed
from promise_pub.local import LocalStack, service
from promise_pub.local.bundled_consumer import BundledConsumer
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.service import Service
from promise_pub.local.state_folder import StateFolder
from promise_pub.retries import Backoff
from tests.integration import stacks
from tests.services import RunningCommand, StartCommand
from tests.web_parts import client, until

pytestmark = pytest.mark.usefixtures("nothing_left")

JSON = {"Accept": "application/json", "Content-Type": "text/csv"}


def pid_of(state: Path, name: str) -> int:
    (pid,) = (one["pid"] for one in recorded(state) if one["name"] == name)
    return int(pid)


def recorded(state: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((state / "processes.json").read_text())
    return found


async def run_of(url: str, mail: str) -> dict[str, Any]:
    async with client() as http:
        query = "?mode=batch&timeout=0"
        async with http.post(f"{url}/simulate/{query}", data=f"Ann,{mail}\n".encode(), headers=JSON) as answer:
            return dict(await answer.json())


async def is_ready(url: str) -> bool:
    async with client() as http, http.get(f"{url}/readyz") as answer:
        return answer.status == 200


async def test_parts_that_are_killed_are_started_again_and_the_next_run_is_kept(
    state: Path, start_process: StartCommand
) -> None:
    state.parent.mkdir()
    server = await start_process("serve", "--local", "--state", state, env={**ANY_PORT})
    url = (await server.wait_for(r"^promise-pub \S+ on (http://\S+)$", 120))[1]
    assert (await run_of(url, "before@x"))["verdict"] == "kept"
    settings = (state / "local.ini").read_text()
    for number, name in enumerate(("bundled consumer", "PostgreSQL", "RabbitMQ")):
        await kill(server, state, name)
        assert await until(lambda: is_ready(url), 90)
        run = await run_of(url, f"{number}@x")
        assert (run["verdict"], run["db_count"]) == ("kept", number + 2), run
    assert (state / "local.ini").read_text() == settings
    for name in ("PostgreSQL", "bundled consumer", "RabbitMQ"):  # all at once
        os.kill(pid_of(state, name), signal.SIGKILL)
    for name in ("PostgreSQL", "bundled consumer", "RabbitMQ"):
        await server.wait_for(rf"(?s){name} runs again.*{name} runs again", 120)
    assert (await run_of(url, "after@x"))["db_count"] == 5
    assert await server.stop() == 0


ANY_PORT = {"PROMISE_PUB_SERVER_PORT": "0"}


def is_file(path: str) -> bool:
    return Path(path).is_file()


async def kill(server: RunningCommand, state: Path, name: str) -> None:
    """kill -9, once it is told in one line where to look, and that the part runs again."""
    pid = pid_of(state, name)
    os.kill(pid, signal.SIGKILL)
    words = rf"ERROR .*{name} was killed by signal 9. Restarting it; the log until now is (/.*)$"
    log = (await server.wait_for(words, 90))[1]
    await server.wait_for(rf"{name} runs again$", 90)
    assert pid_of(state, name) != pid
    assert is_file(log)


class Restless(Service):
    """A service that ends by itself, `stays_up` seconds after each start; the first `lives` of them are started at all."""

    def __init__(self, folder: Path, lives: int, stays_up: float = 0) -> None:
        super().__init__(StateFolder(folder, "id", None), ProcessRecords(folder / "processes.json"))
        self.starts = 0
        self._lives = lives
        self._code = f"import time; time.sleep({stays_up}); raise SystemExit('no more of this')"

    async def start_again(self) -> None:
        self.starts += 1
        if self.starts > self._lives:
            raise OSError("no room")
        await self._start_part("restless", [sys.executable, "-c", self._code], {}, self._folder.path)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.keep_running, "__defaults__", (Backoff(0.01, 0.01, within=0.03, jitter=0.0),))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("lives", "words"),
    [
        (9, "restless ended with exit code 1: no more of this (more in {}/restless.log)"),
        (1, "restless cannot be started: no room"),
    ],
)
async def test_a_part_that_does_not_stay_up_is_given_up(
    tmp_path: Path, lives: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    restless = Restless(tmp_path, lives)
    await restless.start_again()
    with pytest.raises(PartFailed) as caught:
        async with asyncio.timeout(30):
            await service.keep_running(restless)
    assert caught.value.message == words.format(tmp_path)
    assert restless.starts == 4
    assert {record.levelno for record in caplog.records} <= {logging.ERROR, logging.WARNING}
    assert f"the log until now is {tmp_path}/restless.log.1" in caplog.text


@pytest.mark.usefixtures("soon")
async def test_a_part_that_stayed_up_for_long_has_all_its_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STEADY", 0.05)
    restless = Restless(tmp_path, 99, stays_up=0.1)
    await restless.start_again()
    keeping = asyncio.create_task(service.keep_running(restless))
    async with asyncio.timeout(30):
        while restless.starts < 6:  # noqa: ASYNC110  it is the test's own
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait({keeping})
    await restless.part.stop()


@pytest.mark.usefixtures("soon")
async def test_a_stack_ends_with_the_part_that_does_not_stay_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.parent.mkdir()
    code = "print('listening on http://127.0.0.1:1', flush=True); raise SystemExit('too tight')"
    command = (sys.executable, "-c", code)
    monkeypatch.setattr(BundledConsumer.__init__, "__defaults__", (command,))
    stack = LocalStack(state, stacks.all_but("consumer"), report=stacks.quiet, warn=stacks.quiet)
    async with asyncio.timeout(30), stack:
        with pytest.raises(PartFailed, match="bundled consumer ended with exit code 1: too tight"):
            await stack.keep_running()


async def test_a_stack_that_started_nothing_looks_after_nothing(state: Path) -> None:
    state.parent.mkdir()
    stack = LocalStack(state, stacks.all_but(), report=stacks.quiet, warn=stacks.quiet)
    async with asyncio.timeout(30), stack:
        await stack.keep_running()
