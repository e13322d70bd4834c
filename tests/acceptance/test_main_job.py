"""The main job as its users meet it: `python main.py` and consumers as processes, files by curl and by `send`."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from yarl import URL

from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.consumer_parts import ROOT
from tests.services import RunningCommand, StartCommand
from tests.web_parts import ServerUnderTest, client, people, settings, until

CONSUMERS = ["bundled", "field"]
Listening = Callable[[Settings], Awaitable[tuple[RunningCommand, ServerUnderTest]]]


@pytest.fixture
async def listening(start_process: StartCommand, settings_file: Callable[[Settings], Path]) -> AsyncIterator[Listening]:
    """Starts `python main.py -c FILE` and waits until it listens."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client())

        async def start(chosen: Settings) -> tuple[RunningCommand, ServerUnderTest]:
            command = await start_process("-c", settings_file(chosen), program=(ROOT / "main.py",))
            url = (await command.wait_for(r"on (http://127\.0\.0\.1:\d+)$")).group(1)
            return command, ServerUnderTest(url, http, chosen.server.uploads)

        yield start


@pytest.fixture(params=CONSUMERS)
async def consumer_port(
    request: pytest.FixtureRequest,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    tmp_path: Path,
) -> AsyncIterator[tuple[str, int]]:
    """A consumer as a process of its own: the path of its health check, and its port."""
    if request.param == "field":
        async with consumer_parts.field(rabbit, database) as double:
            yield double.health_path, URL(double.url).port or 0
        return
    path = settings_file(with_consumer(rabbit, database, tmp_path, ("/healthcheck/", 0)))
    command = await start_process("consumer", "-c", path)
    url = (await command.wait_for(r"^listening on (\S+)$")).group(1)
    yield "/healthcheck/", URL(url).port or 0
    assert await command.stop() == 0


def with_consumer(
    rabbit: RabbitSettings, database: DatabaseSettings, folder: Path, consumer: tuple[str, int]
) -> Settings:
    chosen = settings(rabbit, database, 1, folder)
    health, port = consumer
    return Settings(
        server=chosen.server,
        rabbit=rabbit,
        database=database,
        consumer=ConsumerSettings(host="127.0.0.1", port=port, healthcheck_url=health),
    )


async def curl(*arguments: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--max-time", "60", *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_files_by_curl_reach_the_consumer_in_both_modes_and_the_truth_comes_back(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    listening: Listening,
    consumer_port: tuple[str, int],
) -> None:
    command, server = await listening(with_consumer(rabbit, database, tmp_path, consumer_port))
    file = tmp_path / "data.csv"
    file.write_bytes(people(2000, repeats=72))
    simulate = f"{server.url}/simulate/"
    as_json = ("-H", "Accept: application/json")
    page = await curl("-F", f"input_file=@{file}", f"{simulate}?mode=batch&timeout=1")
    assert "The promise is kept" in page and "72 rows repeat a mail that was saved before" in page
    form = ("-F", f"input_file=@{file}", "-F", "mode=live", "-F", "timeout=1", "-F", "clear=true")
    by_form = json.loads(await curl(*form, *as_json, simulate))
    raw = ("-H", "Content-Type: text/csv", "--data-binary", f"@{file}")
    by_body = json.loads(await curl(*raw, f"{simulate}?mode=batch&timeout=1&filename=raw.csv&clear=true&format=json"))
    for run in (by_form, by_body):
        assert (run["state"], run["verdict"], run["db_count"]) == ("completed", "kept", 1928)
        assert (run["rows"]["confirmed"], run["session"]["received"], run["session"]["saved"]) == (
            2000,
            2000,
            1928,
        )
    assert by_form["mode"] == "live" and by_body["file"]["name"] == "raw.csv"
    assert len(await consumer_parts.employees(database)) == 1928
    assert await command.stop() == 0


async def test_send_and_runs_tell_the_same_and_their_exit_codes_can_be_relied_on(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    listening: Listening,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
) -> None:
    async with consumer_parts.field(rabbit, database, "--lose", "2") as double:
        chosen = with_consumer(rabbit, database, tmp_path, (double.health_path, URL(double.url).port or 0))
        command, server = await listening(chosen)
        (tmp_path / "data.csv").write_bytes(people(30))
        to = ("--server", str(server.url))
        quick = ("--mode", "batch", "--timeout", "0", "-q")

        broken = await start_process("send", "data.csv", *to, *quick, "--format", "json")
        assert await broken.finish() == 3
        run = json.loads(broken.output)
        assert (run["verdict"], run["rows"]["confirmed"]) == ("broken", 30)

        path = settings_file(chosen)
        report = await start_process("runs", run["id"], "--format", "json", "-c", path)
        assert await report.finish() == 0 and json.loads(report.output) == run
        history = await start_process("-c", path, "runs", "--format", "csv")
        assert await history.finish() == 0 and run["id"] in history.output

        for arguments, code, text in [
            (("send", "data.csv", *to, "--mode", "fast"), 2, "mode must be live or batch"),
            (("send", "missing.csv", *to), 2, "there is no file missing.csv"),
            (("send", "data.csv", "--server", "nonsense"), 2, "must be a URL"),
            (("send", "data.csv", "--server", "http://127.0.0.1:1"), 1, "cannot be reached"),
            (("runs", "nonsense", "-c", path), 2, "no run's id"),
            (("runs", run["id"][:-4] + "0000", "-c", path), 1, "There is no run"),
            (("frobnicate",), 2, "invalid choice"),
        ]:
            wrong = await start_process(*arguments)
            assert (await wrong.finish(), text in wrong.output) == (code, True), wrong.output
            assert "Traceback" not in wrong.output
        assert await command.stop(signal.SIGINT) == 0


async def test_a_kept_promise_is_exit_code_zero_and_readable(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    listening: Listening,
    start_process: StartCommand,
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        chosen = with_consumer(rabbit, database, tmp_path, (consumer.health_path, URL(consumer.url).port or 0))
        _, server = await listening(chosen)
        (tmp_path / "data.csv").write_bytes(people(30, repeats=1))
        send = await start_process("send", "data.csv", "--server", str(server.url), "--clear")
        assert await send.finish() == 0
    assert "promise         kept" in send.output
    assert "because         1 row repeats a mail that was saved before" in send.output


async def until_states(server: ServerUnderTest, states: list[str]) -> None:
    """The states of all runs, newest first, are these."""

    async def look() -> bool:
        return [run["state"] for run in (await server.get("/runs?format=json")).json] == states

    await until(look)


async def confirmed(server: ServerUnderTest) -> bool:
    """Whether the oldest run has rows that are."""
    runs = (await server.get("/runs?format=json")).json
    return bool(runs[-1]["rows"]["confirmed"])


@pytest.mark.parametrize(
    "query",
    ["?mode=live&rate=100&timeout=3600", "?mode=batch&rate=100", "?mode=batch&timeout=3600"],
)
async def test_a_stopped_server_ends_its_run_in_an_orderly_way(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    listening: Listening,
    query: str,
) -> None:
    """While publishing, and (the last) while the field consumer waits for its idle timeout, for an hour."""
    async with consumer_parts.field(rabbit, database) as double:
        chosen = with_consumer(rabbit, database, tmp_path, (double.health_path, URL(double.url).port or 0))
        command, server = await listening(chosen)
        state = "publishing" if "rate" in query else "draining"
        going = asyncio.create_task(server.send(people(2000), query))
        await until_states(server, [state])
        waiting = asyncio.create_task(server.send(people(5), "?mode=batch&timeout=0"))
        await until_states(server, ["queued", state])
        await until(partial(confirmed, server))
        assert await command.stop() == 0
        first, second = await going, await waiting
        _, again = await listening(chosen)
        recorded = {run["id"]: run for run in (await again.get("/runs?format=json")).json}
    for reply in (first, second):
        assert (reply.status, reply.json["code"]) == (503, "interrupted")
        run = recorded[reply.json["run"]["id"]]
        assert (run["state"], run["verdict"]) == ("interrupted", None)
        assert run["rows"] == reply.json["run"]["rows"]
    assert first.json["run"]["rows"]["confirmed"] == first.json["run"]["rows"]["published"] > 0
    assert second.json["run"]["rows"]["published"] == 0


async def recorded(database: DatabaseSettings) -> bool:
    """Whether the ledger knows of rows that were confirmed: it is half a second behind."""
    async with consumer_parts.database_connection(database) as connection:
        return bool(await connection.fetchval("SELECT sum(confirmed) > 0 FROM runs"))


async def test_a_killed_server_leaves_runs_that_the_next_one_marks_as_interrupted(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, listening: Listening
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        chosen = with_consumer(rabbit, database, tmp_path, (consumer.health_path, URL(consumer.url).port or 0))
        command, server = await listening(chosen)
        headers = {
            "Accept": "application/json",
            "Prefer": "respond-async",
            "Content-Type": "text/csv",
        }
        path = (await server.ask("POST", "/simulate/?rate=50", data=people(500), headers=headers)).headers["Location"]
        await until(partial(recorded, database))
        await command.kill()
        _, again = await listening(chosen)
        run = (await again.get(f"{path}?format=json")).json
    assert (run["state"], run["error"]["code"]) == ("interrupted", "interrupted")
    assert 0 < run["rows"]["confirmed"] < 500


async def publishing(server: ServerUnderTest) -> str | None:
    """The id of the newest run, once it publishes."""
    newest = (await server.get("/runs?format=json")).json[:1]
    return newest[0]["id"] if newest and newest[0]["state"] == "publishing" else None


async def test_a_second_server_on_the_database_leaves_the_runs_of_the_first_alone(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, listening: Listening
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        chosen = with_consumer(rabbit, database, tmp_path, (consumer.health_path, URL(consumer.url).port or 0))
        _, first = await listening(chosen)
        going = asyncio.create_task(first.send(people(2000), "?rate=50&mode=batch&timeout=0"))
        run = await until(partial(publishing, first))
        _, second = await listening(chosen)
        # The ledger, which it has it from, is half a second old at most; a server can start sooner.
        assert await until(partial(publishing, second)) == run
        assert (await first.ask("POST", f"/runs/{run}/cancel")).status == 202
        assert (await going).json["code"] == "cancelled"


@pytest.mark.parametrize(
    ("broken", "code", "text"),
    [
        ({"PROMISE_PUB_DATABASE_PORT": "1"}, 1, "database cannot be reached"),
        ({"PROMISE_PUB_DATABASE_DBNAME": "nowhere"}, 1, "database refused"),
        ({"PROMISE_PUB_DATABASE_PASSWORD": "wrong-s3cret"}, 1, "database refused"),
        ({"PROMISE_PUB_SERVER_PORT": "http"}, 2, "[server] port: must be a whole number"),
        ({"PROMISE_PUB_SERVER_UPLOADS": "/proc/nowhere"}, 1, "uploads"),
        ({"PROMISE_PUB_SERVER_HOST": "203.0.113.1"}, 2, "[server] auth: must be users"),
        (
            {"PROMISE_PUB_SERVER_HOST": "203.0.113.1", "PROMISE_PUB_SERVER_AUTH": "users"},
            1,
            "Cannot listen on 203.0.113.1",
        ),
    ],
)
async def test_a_server_that_cannot_start_says_why_in_one_line(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    broken: dict[str, str],
    code: int,
    text: str,
) -> None:
    path = settings_file(with_consumer(rabbit, database, tmp_path, ("/health/", 1)))
    command = await start_process("-c", path, env=broken, program=(ROOT / "main.py",))
    assert await command.finish() == code
    assert text in command.output and len(command.output.splitlines()) == 1
    assert "s3cret" not in command.output


async def test_a_consumer_whose_port_is_taken_says_so(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        taken = URL(consumer.url).port or 0
        path = settings_file(with_consumer(rabbit, database, tmp_path, ("/healthcheck/", taken)))
        command = await start_process("consumer", "-c", path)
        assert await command.finish() == 1
    assert f"Cannot listen on 127.0.0.1:{taken}" in command.output
    assert len(command.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [(">&-", 0, ""), ("2>&-", 0, ""), (">/dev/full", 1, "No space left on device")],
)
async def test_an_output_that_cannot_be_written_is_no_crash(redirection: str, code: int, said: str) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{shlex.quote(sys.executable)} -m promise_pub schema {redirection}",
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    assert process.returncode == code
    assert said in complaint.decode() and "Traceback" not in complaint.decode()


async def test_ctrl_c_while_it_still_loads_ends_it_without_a_word() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", ROOT / "main.py"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    while b" promise_pub.__main__" not in (line := await process.stdout.readline()):
        assert line
    await process.stdout.readline()  # of what it loads next
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert b"Traceback" not in output


async def test_schema_prints_applies_and_applies_again(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
) -> None:
    printed = await start_process("schema")
    assert await printed.finish() == 0 and printed.output == (ROOT / "scheme.sql").read_text()
    async with consumer_parts.database_connection(database) as connection:
        await connection.execute("DROP TABLE employees, rejected_rows, row_chunks, runs")
    path = settings_file(with_consumer(rabbit, database, tmp_path, ("/health/", 1)))
    refused = await start_process("serve", "-c", path)
    assert await refused.finish() == 1 and "promise-pub schema --apply" in refused.output
    for _ in range(2):
        applied = await start_process("schema", "--apply", "-c", path)
        assert await applied.finish() == 0
    async with consumer_parts.database_connection(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM employees") == 0


async def test_the_server_answers_others_while_a_run_goes_at_full_speed(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, listening: Listening
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        chosen = with_consumer(rabbit, database, tmp_path, (consumer.health_path, URL(consumer.url).port or 0))
        _, server = await listening(chosen)
        going = asyncio.create_task(server.send(people(60_000), "?mode=batch&timeout=5"))
        answered = 0
        while not going.done():
            assert (await server.get("/")).status == 200
            answered += 1
        run = (await going).json
    assert (run["verdict"], run["session"]["saved"]) == ("kept", 60_000)
    assert answered > 10
