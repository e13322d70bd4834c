"""What a command says when a server is lost sight of, refuses, or answers for a file that it does not run."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.cli import arguments
from promise_pub.cli.remote_run import SERVER, RemoteRun
from promise_pub.errors import PromisePubError, ServerAnswerError, ServerAway, Stopped, StoredFileError
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import Fault, State
from promise_pub.retries import Backoff
from tests.run_parts import RUN, ended, report
from tests.tls import make_certificate

Serve = Callable[..., Awaitable[str]]


@pytest.fixture
def serve(aiohttp_server: Any) -> Serve:
    """A server that answers each path as told: with JSON, or with a status; its address."""

    async def start(**answers: Any) -> str:
        app = web.Application()
        for path, answer in answers.items():
            app.router.add_route("*", path.replace("RUN", RUN).replace("_", "/"), answering(answer))
        return str((await aiohttp_server(app)).make_url("/"))

    return start


def answering(answer: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        if isinstance(answer, int):
            return web.json_response({"detail": "No.", "code": "no"}, status=answer)
        return web.json_response(answer)

    return handle


async def test_a_server_that_stays_away_is_named_with_how_to_go_on(serve: Serve) -> None:
    url = await serve(_runs_RUN=encode_run(report()), _runs_RUN_stream=502)
    remote = RemoteRun(url)
    with pytest.raises(ServerAway) as caught:
        async with remote.connected(quiet=True):
            await remote.fetch(RUN)
            await remote.follow_to_end(Backoff(first=0.05, longest=5.0, within=0.1))
    assert caught.value.message == (
        f"No. (no) (for 0 s). The run may go on; to follow it: promise-pub send --follow {RUN} "
        f"--server {url} -- to end it: promise-pub runs {RUN} --cancel --server {url}"
    )
    assert remote.run == encode_run(report())


@pytest.mark.parametrize(("status", "kind"), [(404, ServerAnswerError), (503, ServerAway)])
async def test_one_that_refuses_is_quoted(serve: Serve, status: int, kind: type) -> None:
    remote = RemoteRun(await serve(_runs_RUN=status))
    with pytest.raises(kind) as caught:
        async with remote.connected(quiet=True):
            await remote.fetch(RUN)
    assert caught.value.message == "No. (no)"


async def test_stopped_before_any_answer_it_does_not_say_what_it_does_not_know(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n")
    held = asyncio.Event()

    async def holds(remote: RemoteRun) -> None:
        async with remote.connected(quiet=True):
            await remote.submit(file, {})
            held.set()
            await asyncio.sleep(60)

    remote = RemoteRun(await serve(_simulate_={"rows": {}}))
    task = asyncio.create_task(holds(remote))
    await held.wait()
    task.cancel()
    with pytest.raises(Stopped, match="its history shows whether there is a run"):
        await task


async def test_the_usual_server_is_not_repeated() -> None:
    remote = RemoteRun(None)
    remote.run = encode_run(report())
    with pytest.raises(Stopped) as caught:
        async with remote.connected(quiet=True):
            raise asyncio.CancelledError
    assert remote.url == SERVER and "--server" not in caught.value.message


PARAMETERS = {
    "mode": "batch",
    "timeout": "1",
    "rate": "5",
    "clear": "true",
    "columns": "id,name",
    "delimiter": "tab",
    "encoding": "latin-1",
}
OTHERS = {"profile": "100:10,1000:5", "header": "true", "delimiter": ";"}


async def test_what_is_given_goes_to_the_server_as_it_is_and_nothing_else(
    aiohttp_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, str]] = []

    async def simulate(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        assert await request.read() == b"a,b\n"
        return web.json_response(encode_run(ended()))

    app = web.Application()
    app.router.add_post("/simulate/", simulate)
    url = str((await aiohttp_server(app)).make_url("/"))
    file = tmp_path / "a b.csv"
    file.write_text("a,b\n")
    for given in ({}, PARAMETERS, OTHERS):
        switches = [f"--{name}" if value == "true" else f"--{name}={value}" for name, value in given.items()]
        options = arguments.parse(["send", str(file), "--server", url, *switches, "-q"])
        assert await options.command(options) == 0
    assert asked == [{"filename": "a b.csv", **given} for given in ({}, PARAMETERS, OTHERS)]
    assert capsys.readouterr().out.count("promise         kept") == 3


DRY = {
    "dry_run": True,
    "file": {"name": "a\x1b.csv", "bytes": 4, "sha256": ""},
    "columns": ["name", "mail"],
    "rows": {"read": 5002, "accepted": 5000, "rejected": 2, "duplicates": 7},
    "rejected": [{"line": 1234, "reason": "1 column, not 2", "excerpt": "bad\x07"}],
}


DRY_TEXT = r"""file            a\x1b.csv
columns         name,mail
rows read       5,002
rejected        2
rows to send    5,000
repeats         7
line 1,234      1 column, not 2: bad\x07
                and 1 more
"""
DRY_CSV = r"""file,columns,rows read,rejected,rows to send,repeats
a\x1b.csv,"name,mail",5002,2,5000,7
"""


@pytest.mark.parametrize(
    ("form", "told"),
    [("text", DRY_TEXT), ("csv", DRY_CSV), ("json", json.dumps(DRY, indent=2) + "\n")],
)
async def test_a_dry_run_is_told_in_each_format(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, told: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n")
    url = await serve(_simulate_=DRY)
    options = arguments.parse(["send", str(file), "--dry-run", "--server", url, "--format", form, "-q"])
    assert await options.command(options) == 0
    assert capsys.readouterr().out.replace("\r\n", "\n") == told


async def test_why_a_run_failed_stands_in_its_report_and_in_the_error(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault("consumer_refused", "/create/ answered \x1b[2J503")
    failed = ended(state=State.FAILED, verdict=None, explanation=(), error=fault)
    url = await serve(_runs_RUN=encode_run(failed))
    options = arguments.parse(["send", "--follow", RUN, "--server", url, "-q"])
    with pytest.raises(PromisePubError) as caught:
        await options.command(options)
    assert caught.value.message.endswith("503 (consumer_refused)")
    assert r"error           /create/ answered \x1b[2J503 (consumer_refused)" in capsys.readouterr().out


async def test_a_report_is_printed_though_its_copy_cannot_be_written(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = await serve(_runs_RUN=encode_run(ended()))
    options = arguments.parse(
        ["send", "--follow", RUN, "--server", url, "--junit", "/proc/report.xml", "--format=json"]
    )
    with pytest.raises(OSError, match=r"report\.xml"):
        await options.command(options)
    assert json.loads(capsys.readouterr().out)["id"] == RUN


async def test_why_a_server_cannot_be_reached_is_said_in_the_systems_words(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file, certificate.key)
    runner = web.ServerRunner(web.Server(answering({})))
    await runner.setup()
    secret = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    plain = web.TCPSite(runner, "127.0.0.1", 0)
    await secret.start()
    await plain.start()
    (_, secret_port), (_, plain_port) = runner.addresses
    for url, said in {
        "http://127.0.0.1:1": "Connection refused",
        "http://nowhere.invalid": "",
        f"https://127.0.0.1:{secret_port}": "its certificate is not trusted: self-signed certificate",
        f"https://127.0.0.1:{plain_port}": "TLS failed: ",
    }.items():
        remote = RemoteRun(url)
        with pytest.raises(ServerAway) as caught:
            async with remote.connected(quiet=True):
                await remote.fetch(RUN)
        assert caught.value.message.startswith(f"{url} cannot be reached: {said}")
        assert "ssl:default" not in caught.value.message
    await runner.cleanup()


async def test_what_lets_somebody_in_is_not_shown() -> None:
    remote = RemoteRun("http://ann:s3cret@127.0.0.1:1")
    with pytest.raises(ServerAway, match=r"^http://127\.0\.0\.1:1 cannot be reached") as caught:
        async with remote.connected(quiet=True):
            await remote.fetch(RUN)
    assert "s3cret" not in f"{caught.value.message} {remote._suggest_commands({'id': RUN})}"


async def test_a_file_that_cannot_be_read_is_not_the_servers_fault(serve: Serve) -> None:
    remote = RemoteRun(await serve(_simulate_={"id": RUN}))
    with pytest.raises(StoredFileError, match="mem cannot be read: Input/output error"):
        async with remote.connected(quiet=True):
            await remote.submit(Path("/proc/self/mem"), {})


async def test_a_name_that_is_no_text_is_sent_as_text(aiohttp_server: Any, tmp_path: Path) -> None:
    asked: list[str] = []

    async def simulate(request: web.Request) -> web.Response:
        asked.append(request.query["filename"])
        await request.read()
        return web.json_response(encode_run(ended()))

    app = web.Application()
    app.router.add_post("/simulate/", simulate)
    remote = RemoteRun(str((await aiohttp_server(app)).make_url("/")))
    file = tmp_path / os.fsdecode(b"a\xff.csv")
    file.write_text("a,b\n")
    async with remote.connected(quiet=True):
        await remote.submit(file, {})
    assert asked == ["a?.csv"]
