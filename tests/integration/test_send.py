"""`send` and `runs` as processes, against a real server: what they show, what they end with, and what they leave going."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from junitparser import JUnitXml, TestSuite
from yarl import URL

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.services import RunningCommand, StartCommand
from tests.terminal import Terminal
from tests.web_parts import ServerUnderTest, client, people, settings, until

RUN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Place:
    """A server process and a consumer, a file to send, and commands."""

    def __init__(
        self,
        chosen: Settings,
        start: StartCommand,
        write: Callable[[Settings], Path],
        stack: AsyncExitStack,
    ) -> None:
        self.chosen = chosen
        self.folder = chosen.server.uploads.parent
        self.file = self.folder / "data.csv"
        self.url = f"http://127.0.0.1:{chosen.server.port}"
        self._start = start
        self._write = write
        self._stack = stack
        self.server: ServerUnderTest

    async def serve(self, **server: Any) -> RunningCommand:
        """Starts the server, at the same address each time."""
        changed = replace(self.chosen, server=replace(self.chosen.server, **server))
        command = await self._start("serve", "-c", self._write(changed))
        await command.wait_for(r"on http://127\.0\.0\.1:\d+$")
        http = await self._stack.enter_async_context(client())
        self.server = ServerUnderTest(self.url, http, self.chosen.server.uploads)
        return command

    @property
    def configuration(self) -> Path:
        return self._write(self.chosen)

    async def command(self, *arguments: str | Path, **more: Any) -> RunningCommand:
        return await self._start(*arguments, **more)

    async def send(self, *arguments: str | Path) -> RunningCommand:
        return await self.command("send", *arguments, "--server", self.url)

    async def going(self, count: int = 1000, rate: int = 100) -> str:
        """The id of a run that takes a while."""
        headers = {"Accept": "application/json", "Prefer": "respond-async"}
        query = f"/simulate/?rate={rate}&timeout=0"
        reply = await self.server.ask("POST", query, data=people(count), headers=headers | {"Content-Type": "text/csv"})
        return str(reply.json["id"])

    async def run(self, run_id: str) -> Any:
        return (await self.server.get(f"/runs/{run_id}?format=json")).json

    async def has_recorded_something(self) -> bool:
        """Whether the ledger knows of rows that were confirmed: it is half a second behind."""
        async with consumer_parts.database_connection(self.chosen.database) as connection:
            return bool(await connection.fetchval("SELECT sum(confirmed) > 0 FROM runs"))

    async def until_confirmed(self, run_id: str, rows: int = 1) -> None:
        async def look() -> bool:
            return bool((await self.run(run_id))["rows"]["confirmed"] >= rows)

        await until(look)


@pytest.fixture
async def place(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        consumer = await stack.enter_async_context(consumer_parts.bundled(rabbit, database))
        chosen = settings(rabbit, database, consumer, tmp_path, port=unused_tcp_port)
        made = Place(chosen, start_process, settings_file, stack)
        made.file.write_bytes(people(500, repeats=2) + b"bad\n")
        yield made


def suite(path: Path) -> TestSuite:
    return next(iter(JUnitXml.fromfile(str(path))))


def results(path: Path) -> dict[str, list[str]]:
    return {case.name: [type(one).__name__ for one in case.result] for case in suite(path)}


async def test_a_file_that_is_sent_is_followed_in_lines_and_reported_to_ci(place: Place) -> None:
    await place.serve()
    sent = await place.send("data.csv", "--rate", "250", "--junit", "report.xml")
    assert await sent.finish() == 0
    lines = sent.output.splitlines()
    assert lines[0] == f"Uploading data.csv: {place.file.stat().st_size / 1024:.1f} KB"
    assert any(line.startswith("Publishing: read ") for line in lines)
    ended = next(line for line in lines if line.startswith("Completed: read 501"))
    assert "received 500, saved 498; 1 rejected" in ended and "the promise is kept" in ended
    assert "promise         kept" in lines
    assert not re.search(r"\x1b|━", sent.output)
    report = suite(place.folder / "report.xml")
    assert (report.tests, report.failures, report.errors, report.skipped) == (9, 0, 0, 1)
    told = {one.name: one.value for one in report.properties()}
    assert (told["file.name"], told["rows.rejected"], told["rows.confirmed"]) == (
        "data.csv",
        "1",
        "500",
    )


async def test_a_run_that_goes_can_be_followed_and_one_that_ended_looked_at(place: Place) -> None:
    await place.serve()
    run_id = await place.going(300)
    by_id, by_address = (
        await place.send("--follow", run_id, "-q", "--format", "json"),
        await place.command("send", "--follow", f"{place.url}/runs/{run_id}?format=html", "-q", "--format", "csv"),
    )
    assert (await by_id.finish(), await by_address.finish()) == (0, 0)
    run = json.loads(by_id.output)
    assert (run["id"], run["verdict"], run["rows"]["confirmed"]) == (run_id, "kept", 300)
    assert f"{run_id}," in by_address.output
    later = await place.send("--follow", run_id, "--format", "json", "-q", "--junit", "late.xml")
    assert await later.finish() == 0 and json.loads(later.output) == await place.run(run_id)
    assert suite(place.folder / "late.xml").failures == 0
    nowhere = await place.send("--follow", run_id[:-4] + "0000")
    assert await nowhere.finish() == 1 and "run_not_found" in nowhere.output


async def test_a_broken_promise_is_a_failure_and_what_never_ran_is_an_error(
    place: Place, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with consumer_parts.field(rabbit, database, "--lose", "2") as double:
        consumer = replace(
            place.chosen.consumer,
            port=URL(double.url).port or 0,
            healthcheck_url=double.health_path,
        )
        place.chosen = replace(place.chosen, consumer=consumer)
        server = await place.serve()
        arguments = ("--mode", "batch", "--timeout", "0", "--junit", "broken.xml", "-q")
        broken = await place.send("data.csv", *arguments)
        assert await broken.finish() == 3
        told = results(place.folder / "broken.xml")
        failed = [name for name, kinds in told.items() if kinds == ["Failure"]]
        assert failed == [
            "the promise is kept",
            "every received row is saved, or it is explained why not",
        ]

        (place.folder / "bad.csv").write_text("bad\n")
        refused = await place.send("bad.csv", "--junit", "refused.xml")
        assert await refused.finish() == 1 and "no_usable_row" in refused.output
        assert "promise-pub: line 1: has 1 field, not 2: bad\n" in refused.output
        dry = await place.send("bad.csv", "--dry-run", "-q")
        assert await dry.finish() == 1
        assert "promise-pub: line 1: has 1 field, not 2: bad\n" in dry.output
        await server.stop()
    away = await place.send("data.csv", "--junit", "away.xml", "-q")
    assert await away.finish() == 1
    assert away.output.count("\n") == 1 and "cannot be reached" in away.output
    missing = await place.send("missing.csv", "--junit", "missing.xml")
    assert await missing.finish() == 2
    for name in ("refused", "away", "missing"):
        told = results(place.folder / f"{name}.xml")
        assert told.pop("the promise is kept") == ["Error"]
        assert all(kinds == ["Skipped"] for kinds in told.values())


async def test_a_gate_fails_a_run_that_keeps_its_promise_and_a_mistake_in_it_sends_nothing(place: Place) -> None:
    await place.serve()
    wrong = await place.send("data.csv", "--fail-if", "saved < acepted", "--fail-if", "verdict > 3")
    assert await wrong.finish() == 2
    assert "promise-pub:   saved < acepted\npromise-pub:           ^ there is no 'acepted'" in wrong.output
    assert (await place.server.get("/runs?format=json")).json == []

    gates = ("--fail-if", "saved = 0", "--fail-if", "rejected > 1% or seconds.total > 1M")
    first = await place.send("data.csv", *gates, "-q")
    assert await first.finish() == 0, first.output
    assert first.output.startswith("attention       1 of 501 records was rejected, and not published.")
    again = await place.send("data.csv", *gates, "-q", "--junit", "again.xml")
    assert await again.finish() == 4
    assert again.output.splitlines()[0].startswith(
        "attention       Nothing was saved: the mails of 500 rows were there"
    )
    assert "gate failed     saved = 0: 0 = 0" in again.output
    told = results(place.folder / "again.xml")
    assert (told["gate: saved = 0"], told["the promise is kept"], told["new rows are saved"]) == (
        ["Failure"],
        [],
        ["Skipped"],
    )
    newest, oldest = (await place.server.get("/runs?format=json")).json
    assert [(run["fail_if"], run["passed"]) for run in (oldest, newest)] == [
        ("(saved = 0) or (rejected > 1% or seconds.total > 1M)", True),
        ("(saved = 0) or (rejected > 1% or seconds.total > 1M)", False),
    ]
    page = (await place.server.get(f"/runs/{newest['id']}")).text
    assert (
        "The promise is kept, but the gate failed: saved = 0: 0 = 0." in page and 'class="outcome gate-failed"' in page
    )
    assert '<span class="badge gate-failed">gate failed</span>' in (await place.server.get("/runs")).text


async def test_a_file_of_any_columns_is_looked_at_and_sent(place: Place) -> None:
    await place.serve()
    place.file.write_text("id;name\n1;Ann\n2\n3;Zoé\n", encoding="latin-1")
    of_the_file = ("--header", "--delimiter", ";", "--encoding", "latin1")
    dry = await place.send("data.csv", *of_the_file, "--dry-run", "-q")
    assert await dry.finish() == 0
    assert "columns         id,name\nrows read       3\nrejected        1" in dry.output
    assert (await place.server.get("/runs?format=json")).json == []
    wrong = await place.send("data.csv", *of_the_file, "--columns", "a,b")
    assert await wrong.finish() == 2 and "leave columns out" in wrong.output
    sent = await place.send("data.csv", *of_the_file, "--profile", "50:1", "--format=json", "-q")
    assert await sent.finish() in (0, 3)
    run = json.loads(sent.output)
    assert (run["state"], run["columns"], run["profile"]) == ("completed", ["id", "name"], "50:1")
    assert (run["rows"]["confirmed"], run["rows"]["rejected"]) == (2, 1)


@pytest.mark.parametrize("size", [4_000_000, 100_000_000])
async def test_a_file_over_the_limit_is_refused_in_the_servers_words(place: Place, size: int) -> None:
    await place.serve(max_upload=1_000_000)
    with place.file.open("wb") as file:
        file.truncate(size)
    sent = await place.send("data.csv", "-q")
    assert await sent.finish() == 1
    refusal, advice = sent.output.splitlines()
    assert refusal.endswith("(file_too_large)") and "max_upload" in advice


async def test_ctrl_c_leaves_the_run_going_and_says_how_to_follow_and_end_it(place: Place) -> None:
    await place.serve()
    place.file.write_bytes(people(3000))
    sent = await place.send("data.csv", "--rate", "100", "--junit", "stopped.xml")
    await sent.wait_for("^Publishing: ")
    assert await sent.stop(signal.SIGINT) == 1
    said = sent.output.splitlines()[-1]
    assert said.startswith("promise-pub: Stopped following: the run goes on")
    assert "Traceback" not in sent.output
    followed, ended = re.findall(r"promise-pub (send|runs) .*?(" + RUN + ")", said)
    run_id = followed[1]
    assert (followed[0], ended) == ("send", ("runs", run_id))
    assert said.count(f"--server {place.url}") == 2
    assert results(place.folder / "stopped.xml")["the promise is kept"] == ["Error"]
    assert (await place.run(run_id))["finished_at"] is None

    at = ("--server", place.url)
    cancelled = await place.command("runs", run_id, "--cancel", "-q", "--format", "json", *at)
    assert await cancelled.finish() == 0
    assert json.loads(cancelled.output)["state"] == "cancelled"
    again = await place.command("runs", run_id, "--cancel", *at)
    assert await again.finish() == 1 and "not_cancellable" in again.output
    resumed = await place.command("runs", run_id, "--resume", *at)
    await resumed.wait_for("^Publishing: ")
    assert await resumed.stop(signal.SIGTERM) == 1
    assert "Stopped following: the run goes on" in resumed.output


async def test_an_upload_that_is_stopped_makes_no_run(
    place: Place, aiohttp_server: Callable[[web.Application], Awaitable[Any]]
) -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def does_not_read(request: web.Request) -> web.Response:
        asked.set()
        await over.wait()
        assert request.transport
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_post("/simulate/", does_not_read)
    url = str((await aiohttp_server(app)).make_url("/"))
    with place.file.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    sent = await place.command("send", "data.csv", "--server", url)
    await asyncio.wait_for(asked.wait(), 30)
    assert await sent.stop(signal.SIGINT) == 1
    over.set()
    assert sent.output.endswith("Stopped before all of the file was sent: there is no run of it.\n")


@pytest.mark.parametrize(
    ("on_restart", "code", "said"),
    [("mark", 1, "(interrupted)"), ("resume", 0, "promise         kept")],
)
async def test_a_server_that_dies_and_comes_back_is_waited_for(
    place: Place, on_restart: str, code: int, said: str
) -> None:
    server = await place.serve()
    place.file.write_bytes(people(500 if on_restart == "resume" else 3000))
    sent = await place.send("data.csv", "--rate", "100", "--timeout", "1")
    await sent.wait_for("^Publishing: ")
    await until(place.has_recorded_something)
    await server.kill()
    await sent.wait_for("trying again")
    await place.serve(on_restart=on_restart)
    assert await sent.finish() == code
    assert "The server answers again" in sent.output and said in sent.output
    assert sent.output.count("trying again") == 1


async def test_on_a_terminal_there_are_five_gauges_and_then_the_report(place: Place) -> None:
    await place.serve()
    place.file.write_bytes(people(300))
    arguments = ("send", place.file, "--server", place.url, "--rate", "100", "--timeout", "0")
    for columns, env in ((60, {}), (100, {"NO_COLOR": "1"})):
        screen = Terminal(*arguments, columns=columns, env=env)
        try:
            assert await asyncio.to_thread(screen.finish) == 0
            drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.shown)
            for name in ("read", "published", "confirmed", "received", "saved"):
                assert re.search(rf"{name} +[━╌╳]* +[0-9–]", drawn), drawn
            assert re.search(r"Publishing · 0:0\d", drawn)
            assert "promise         kept" in drawn
            # Taken away before the report, and the cursor shown again.
            assert "\x1b[2K" in screen.shown and screen.shown.rstrip().count("\x1b[?25h") == 1
            colours = re.findall(r"\x1b\[(?:[0-9;]*;)?(?:3[1-7]|38;[0-9;]+)m", screen.shown)
            assert bool(colours) is not bool(env)
            assert max(map(len, drawn.replace("\r", "\n").splitlines())) <= columns
        finally:
            screen.close()


async def test_ctrl_c_on_a_terminal_gives_it_back(place: Place) -> None:
    await place.serve()
    place.file.write_bytes(people(3000))
    screen = Terminal("send", place.file, "--server", place.url, "--rate", "100")
    try:
        await asyncio.to_thread(screen.read_until, "Publishing")
        screen.type("\x03")
        assert await asyncio.to_thread(screen.finish) == 1
        assert "Stopped following: the run goes on" in screen.shown
        assert screen.shown.rindex("\x1b[?25h") > screen.shown.rindex("\x1b[?25l")
    finally:
        screen.close()


async def test_the_history_is_filtered_limited_and_watched(place: Place) -> None:
    await place.serve()
    kept = await place.going(5, 0)
    await until(lambda: ended(place, kept))
    ini = ("-c", place.configuration)
    follow = await place.command("runs", "--watch", *ini)
    await follow.wait_for(rf"^{kept}  body\.csv  Completed: .*the promise is kept$")
    going = await place.going(9000)
    await follow.wait_for(rf"^{going}  body\.csv  Publishing: ")
    one = await place.command("runs", going, "--watch", "--format", "json", *ini)
    await one.wait_for(r"^\{.*\}$")
    screen = Terminal("runs", "--watch", *map(str, ini), columns=100)
    try:
        await asyncio.to_thread(screen.read_until, f"{going}.*publishing")
        await place.server.ask("POST", f"/runs/{going}/cancel")
        await asyncio.to_thread(screen.read_until, f"{going}.*cancelled")
        screen.type("\x03")
        assert await asyncio.to_thread(screen.finish) == 0
    finally:
        screen.close()
    await follow.wait_for(rf"^{going}  body\.csv  Cancelled: ")
    await one.wait_for('"state": "cancelled"')
    assert (await follow.stop(signal.SIGINT), await one.stop(signal.SIGTERM)) == (0, 0)
    assert follow.output.count(kept) == 1
    assert len({line for line in one.output.splitlines()}) == len(one.output.splitlines())

    for arguments, found in [
        ((), [going, kept]),
        (("--limit", "1"), [going]),
        (("--state", "completed"), [kept]),
        (("--verdict", "kept", "--limit", "5"), [kept]),
        (("--state", "cancelled", "--verdict", "kept"), []),
    ]:
        listed = await place.command("runs", "--format", "json", *arguments, *ini)
        assert await listed.finish() == 0
        assert [run["id"] for run in json.loads(listed.output)] == found


async def ended(place: Place, run_id: str) -> bool:
    return bool((await place.run(run_id))["finished_at"])


@pytest.mark.parametrize(
    ("table", "said"),
    [("runs", "promise-pub schema --apply"), (None, "Cannot listen on 127.0.0.1:")],
)
async def test_a_server_that_cannot_start_says_why_in_a_line(
    place: Place, database: DatabaseSettings, table: str | None, said: str
) -> None:
    if table:
        async with consumer_parts.database_connection(database) as connection:
            await connection.execute(f"DROP TABLE {table} CASCADE")
    else:
        await place.serve()
    second = await place.command("serve", "-c", place.configuration)
    assert await second.finish() == 1
    assert said in second.output and second.output.count("\n") == 1
