"""The log of a server as a process: on standard error, as it is configured, and in nobody's way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise_pub.settings.model import ConsumerSettings, Settings
from tests.services import StartCommand
from tests.web_parts import client

STARTED = r"on (http://\S+)"


@pytest.fixture
def configured(
    settings_for: Callable[[ConsumerSettings], Settings],
    settings_file: Callable[[Settings], Path],
    unused_tcp_port: int,
) -> Path:
    """A configuration whose consumer is away."""
    return settings_file(settings_for(ConsumerSettings(host="127.0.0.1", port=unused_tcp_port)))


async def ask(url: str, times: int = 1) -> None:
    async with client() as http:
        for _ in range(times):
            async with http.get(f"{url}/healthz") as answer:
                assert answer.status == 200


@pytest.mark.parametrize(
    ("options", "environment", "events"),
    [
        (
            (),
            {"LOG_FORMAT": "json"},
            ["Listening", "Request", "Stopping", "Stopped"],
        ),
        ((), {"LOG_FORMAT": "json", "LOG_LEVEL": "warning"}, []),
        (("-q",), {"LOG_FORMAT": "json"}, []),
        (
            ("-v",),
            {"LOG_FORMAT": "json", "LOG_LEVEL": "error"},
            ["Listening", "Request", "Stopping", "Stopped"],
        ),
    ],
)
async def test_a_server_logs_what_it_is_told_to(
    configured: Path,
    start_process: StartCommand,
    options: tuple[str, ...],
    environment: dict[str, str],
    events: list[str],
) -> None:
    env = {f"PROMISE_PUB_SERVER_{name}": value for name, value in environment.items()}
    server = await start_process("serve", *options, "-c", configured, env=env)
    url = (await server.wait_for(STARTED))[1]
    await ask(url)
    assert await server.stop() == 0
    lines: list[Any] = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    assert [line["message"] for line in lines] == events
    assert len(server.output.splitlines()) == len(lines) + 1, server.output


async def test_people_read_lines(configured: Path, start_process: StartCommand) -> None:
    server = await start_process("serve", "-c", configured)
    url = (await server.wait_for(STARTED))[1]
    await ask(url)
    assert await server.stop() == 0
    assert f"Z INFO promise_pub.app: Listening url={url} version=" in server.output
    assert "method=GET path=/healthz status=200 bytes=" in server.output


async def test_a_log_that_nobody_reads_stops_nothing(configured: Path, tmp_path: Path) -> None:
    """Neither requests, while the pipe is full, nor the end."""
    reading, writing = os.pipe()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "promise_pub", "serve", "-c", configured),
        stdout=asyncio.subprocess.PIPE,
        stderr=writing,
        cwd=tmp_path,
    )
    os.close(writing)
    try:
        assert server.stdout
        line = (await asyncio.wait_for(server.stdout.readline(), 30)).decode()
        await asyncio.wait_for(ask(line.split()[-1], 800), 60)  # a pipe holds 64 KB
        server.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.wait(), 30) == 0
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()
        os.close(reading)


async def test_a_configuration_whose_secrets_every_user_may_read_is_named(
    configured: Path, start_process: StartCommand
) -> None:
    for mode, warned in ((0o600, False), (0o644, True)):
        await asyncio.to_thread(configured.chmod, mode)
        server = await start_process("serve", "-c", configured)
        await server.wait_for(STARTED)
        assert await server.stop() == 0
        told = f"Every user may read {configured}, and so [rabbit] password, [database] password: chmod 600 it"
        assert (told in server.output) is warned, server.output
