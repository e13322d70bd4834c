"""A copy of the folder of a whole stack that runs: both go on, each with parts and data of its own."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Any

import pytest

from tests.services import StartCommand
from tests.web_parts import client

pytestmark = pytest.mark.usefixtures("nothing_left")

ANY_PORT = {"PROMISE_PUB_SERVER_PORT": "0"}
JSON = {"Accept": "application/json", "Content-Type": "text/csv"}


async def _run(url: str, rows: int, rate: int = 0) -> dict[str, Any]:
    data = "".join(f"Ann,{number}@x\n" for number in range(rows)).encode()
    async with (
        client() as http,
        http.post(f"{url}/simulate/?timeout=1&rate={rate}", data=data, headers=JSON) as answer,
    ):
        return dict(await answer.json())


async def _runs(url: str) -> int:
    async with client() as http, http.get(f"{url}/runs", headers=JSON) as answer:
        return int(answer.headers["X-Total-Count"])


async def test_a_copy_of_a_running_stack_touches_nothing_of_the_original(
    state: Path, start_process: StartCommand
) -> None:
    copy = state.with_name(".copy")
    state.parent.mkdir()

    async def start(folder: Path) -> tuple[Any, str]:
        server = await start_process("serve", "--local", "--state", folder, env=ANY_PORT)
        return server, (await server.wait_for(r"^promise-pub \S+ on (http://\S+)$", 120))[1]

    original, url = await start(state)
    assert (await _run(url, 100))["verdict"] == "kept"
    going = asyncio.create_task(_run(url, 3000, rate=300))
    # cp says that files went while it copied; that is so when somebody tries a backup.
    copying = await asyncio.create_subprocess_exec("cp", "-a", state, copy, stderr=DEVNULL)
    await copying.wait()
    copied, other_url = await start(copy)
    assert "is a copy of" in copied.output
    assert await _runs(other_url) == 0
    assert (await _run(other_url, 10))["verdict"] == "kept"
    run = await going
    assert (run["verdict"], run["session"]["received"]) == ("kept", 3000), run
    assert "Restarting it" not in original.output
    for server in (copied, original):
        assert await server.stop() == 0
    for folder, runs in ((state, 2), (copy, 1)):
        server, url = await start(folder)
        assert await _runs(url) == runs
        assert await server.stop() == 0
