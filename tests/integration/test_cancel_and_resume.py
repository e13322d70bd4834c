"""Cancelling and resuming over HTTP and from the command line, with real services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.services import StartCommand
from tests.web_parts import ServerUnderTest, client, people, serving, settings, until

JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
SLOW = "?mode=batch&timeout=1&rate=300"


@pytest.fixture
async def chosen(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Settings]:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        yield settings(rabbit, database, consumer, tmp_path)


async def begun(server: ServerUnderTest, rows: int = 1500) -> str:
    """The address of a run that publishes."""
    answer = await server.ask("POST", f"/simulate/{SLOW}", data=people(rows), headers=ASYNC)
    path = str(answer.headers["Location"])

    async def publishes() -> bool:
        return bool((await server.get(path, headers=JSON)).json["rows"]["confirmed"] > 50)

    await until(publishes)
    return path


async def ended(server: ServerUnderTest, path: str) -> dict[str, object]:
    async def look() -> dict[str, object] | None:
        run = (await server.get(path, headers=JSON)).json
        return dict(run) if run["finished_at"] else None

    return dict(await until(look))


async def test_a_run_is_cancelled_and_resumed_over_http(chosen: Settings) -> None:
    async with serving(chosen) as server:
        path = await begun(server)
        page = await server.get(path)
        assert f'action="{path}/cancel"' in page.text
        answer = await server.ask("POST", f"{path}/cancel", headers=JSON)
        assert (answer.status, answer.headers["Location"]) == (202, path)
        assert answer.json["id"] == path.rpartition("/")[2]
        run = await ended(server, path)
        assert (run["state"], run["verdict"]) == ("cancelled", None)
        again = await server.ask("POST", f"{path}/cancel", headers=JSON)
        assert (again.status, again.json["code"]) == (409, "not_cancellable")
        page = await server.get(path)
        assert f'action="{path}/resume"' in page.text and "/cancel" not in page.text
        answer = await server.ask("POST", f"{path}/resume")
        assert (answer.status, answer.headers["Location"]) == (202, path)
        assert f"url={path}" in answer.text  # the page goes on to the run's own address
        run = await ended(server, path)
        assert (run["state"], run["verdict"], run["db_count"]) == ("completed", "kept", 1500)
        assert run["digest"] and run["earlier_sessions"]
        for call in ("cancel", "resume"):
            refused = await server.ask("POST", f"{path}/{call}", headers=JSON)
            assert (refused.status, "completed" in refused.json["detail"]) == (409, True)
            assert (await server.get(f"{path}/{call}")).status == 405


@pytest.mark.parametrize("call", ["cancel", "resume", "again"])
async def test_what_is_no_run_is_not_found(chosen: Settings, call: str) -> None:
    async with serving(chosen) as server:
        for run_id in (str(uuid4()), "nothing"):
            answer = await server.ask("POST", f"/runs/{run_id}/{call}", headers=JSON)
            assert (answer.status, answer.json["code"]) == (404, "run_not_found")


async def test_a_run_is_made_again_from_its_file(chosen: Settings) -> None:
    async with serving(chosen) as server:
        first = (await server.send(people(100), "?mode=batch&timeout=0&rate=500")).json
        answer = await server.ask("POST", f"/runs/{first['id']}/again", headers=JSON)
        assert answer.status == 202
        second = await ended(server, answer.headers["Location"])
        assert second["id"] != first["id"] and second["verdict"] == "kept"
        for same in ("file", "mode", "timeout", "rate", "clear", "digest"):
            assert (second[same] == first[same]) is (same != "digest"), same
        assert second["explanation"] == ["100 rows repeat a mail that was saved before"]
        assert server.stored() == [".csv", ".csv"]


async def test_who_waits_for_a_run_that_is_cancelled_is_told(chosen: Settings) -> None:
    async with serving(chosen) as server:
        waiting = asyncio.create_task(server.send(people(1500), SLOW))

        async def going() -> str | None:
            runs = (await server.get("/runs", headers=JSON)).json
            return f"/runs/{runs[0]['id']}" if runs and runs[0]["rows"]["confirmed"] else None

        path = await until(going)
        await server.ask("POST", f"{path}/cancel", headers=JSON)
        answer = await asyncio.wait_for(waiting, 30)
        assert (answer.status, answer.json["code"]) == (409, "cancelled")


async def test_the_command_line_resumes_and_follows(
    chosen: Settings,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    tmp_path: Path,
) -> None:
    async with serving(chosen) as server:
        path = await begun(server)
        await server.ask("POST", f"{path}/cancel")
        await ended(server, path)
        run_id = path.rpartition("/")[2]
        to = ("--server", str(server.url))
        resumed = await start_process("runs", run_id, "--resume", *to, "--format", "json", "-q")
        assert await resumed.finish() == 0, resumed.output
        assert json.loads(resumed.output)["verdict"] == "kept"
        again = await start_process("runs", run_id, "--resume", *to)
        assert await again.finish() == 1 and "(not_resumable)" in again.output
        nothing = await start_process("runs", "--resume", *to)
        assert await nothing.finish() == 2


@pytest.mark.parametrize("on_restart", ["mark", "resume"])
async def test_what_a_server_left_is_marked_or_resumed_by_the_next(
    chosen: Settings,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    on_restart: str,
) -> None:
    chosen = replace(chosen, server=replace(chosen.server, on_restart=on_restart))
    root = consumer_parts.ROOT / "main.py"
    command = await start_process("-c", settings_file(chosen), program=(root,))
    url = (await command.wait_for(r"on (http://127\.0\.0\.1:\d+)$")).group(1)
    async with client() as http:
        path = await begun(ServerUnderTest(url, http, chosen.server.uploads))
    await command.kill()
    async with serving(chosen) as server:
        run = (await server.get(path, headers=JSON)).json
        if on_restart == "mark":
            assert (run["state"], run["resumable"]) == ("interrupted", True)
            return
        assert run["state"] != "interrupted"
        end = await ended(server, path)
        assert (end["state"], end["verdict"], end["db_count"]) == ("completed", "kept", 1500)


async def test_an_upload_is_refused_as_soon_as_the_server_stops(
    chosen: Settings, start_process: StartCommand, settings_file: Callable[[Settings], Path]
) -> None:
    root = consumer_parts.ROOT / "main.py"
    command = await start_process("-c", settings_file(chosen), program=(root,))
    url = (await command.wait_for(r"on (http://127\.0\.0\.1:\d+)$")).group(1)

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"Name,1@x\n" * 1000
            await asyncio.sleep(0.05)

    async def upload() -> int:
        async with client() as http:
            try:
                headers = {"Content-Type": "text/csv"}
                async with http.post(f"{url}/simulate/", data=pieces(), headers=headers) as answer:
                    return answer.status
            except aiohttp.ClientError:
                return 0  # it hung up before all was sent, which HTTP allows

    uploading = asyncio.create_task(upload())

    async def comes_in() -> bool:
        return [file.suffix for file in chosen.server.uploads.glob("*")] == [".part"]

    await until(comes_in)
    assert await command.stop() == 0
    assert await uploading in (503, 0)
    assert list(chosen.server.uploads.iterdir()) == []
