"""What commands say of answers that hold no run: a proxy's, another program's, and the server's own problems."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub import cli
from promise_pub.cli import junit
from promise_pub.cli.display import LineDisplay
from promise_pub.errors import ServerAnswerError, ServerAway
from promise_pub.presentation.run_json import encode_run
from promise_pub.remote import answers, follow
from promise_pub.remote.client import RemoteServer, open_remote
from promise_pub.remote.sse import EventReader
from tests.run_parts import RUN, ended

HTML = "<html><h1>Something</h1></html>"


def answer(status: str, body: str | bytes = HTML, **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else body.encode()
    told = {"Content_Type": "text/html", "Content_Length": str(len(data))} | headers
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}Connection: close\r\n\r\n".encode() + data


@asynccontextmanager
async def saying(said: bytes) -> AsyncIterator[RemoteServer]:
    """Whatever listens there says this to every request, and reads no more of it than its headers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_remote(f"http://127.0.0.1:{port}") as there:
            yield there


async def refused(said: bytes, ask: Callable[[RemoteServer], Awaitable[Any]]) -> ServerAnswerError:
    async with saying(said) as there:
        with pytest.raises(ServerAnswerError) as caught:
            await ask(there)
        caught.value.message = caught.value.message.replace(str(there.url), "SERVER")
    return caught.value


@pytest.fixture
def submit(tmp_path: Path) -> Callable[[RemoteServer], Awaitable[Any]]:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n")
    return lambda there: there.submit(file, {}, lambda count: None)


async def looked_at(there: RemoteServer) -> Any:
    return await there.run(RUN)


async def followed(there: RemoteServer) -> None:
    async for _ in there.stream(RUN, EventReader()):
        pass


@pytest.mark.parametrize(
    ("status", "away", "says"),
    [
        ("401 Unauthorized", False, "asks for its own login"),
        ("403 Forbidden", False, "refuses this"),
        ("404 Not Found", False, "check --server"),
        ("413 Request Entity Too Large", False, "limits uploads; raise its limit (nginx: client_max_body_size)"),
        ("418 I'm a teapot", False, "no answer of promise-pub's"),
        ("502 Bad Gateway", True, "check that the server is up"),
        ("503 Service Unavailable", True, "check that the server is up"),
        ("504 Gateway Time-out", True, "stopped waiting for its answer"),
    ],
)  # fmt: skip
async def test_what_a_proxy_answers_is_told_with_who_it_says_it_is(
    submit: Any, status: str, away: bool, says: str
) -> None:
    for ask in (submit, looked_at):
        error = await refused(answer(status, Server="nginx"), ask)
        assert error.message.startswith(f"SERVER answered {status} (Server: nginx): ")
        assert says in error.message and "Something" not in error.message
        assert isinstance(error, ServerAway) is away


async def test_a_server_that_is_followed_and_goes_is_quoted_too() -> None:
    error = await refused(answer("502 Bad Gateway", Server="nginx"), followed)
    assert error.message.startswith("SERVER answered 502 Bad Gateway (Server: nginx): ")
    problem = {"detail": "The server is stopping.", "code": "server_stopping", "advice": "Wait."}
    error = await refused(answer("503 Service Unavailable", json.dumps(problem)), followed)
    assert (error.message, error.details) == (
        "The server is stopping. (server_stopping)",
        ("Wait.",),
    )


async def test_text_that_comes_with_a_status_is_quoted_and_a_page_is_not(submit: Any) -> None:
    plain = answer("503 Service Unavailable", "no healthy\n upstream", Content_Type="text/plain")
    assert (await refused(plain, submit)).message.endswith("is up: no healthy upstream")
    foreign = answer("404 Not Found", '{"detail": "no route"}', Content_Type="application/json")
    assert (await refused(foreign, submit)).message.endswith('in it: {"detail": "no route"}')
    assert (await refused(answer("599 "), submit)).message.startswith("SERVER answered 599: ")


@pytest.mark.parametrize("body", [HTML, "", "[]", '"id"', "{}", '{"detail": "x", "code": "y"}', "[" * 100_000, b"\xff"])
async def test_who_answers_200_with_something_else_is_no_server_of_ours(submit: Any, body: str | bytes) -> None:
    error = await refused(answer("200 OK", body, Server="nginx"), submit)
    assert error.message == ("SERVER is no promise-pub server: it answered 200 with text/html (Server: nginx)")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("https://ann:secret@x.test/simulate/?state=secret#s", "https://x.test/simulate/"),
        ("//y.test/login?next=secret", "http://y.test/login"),
        ("http://[", "http://["),
    ],
)
async def test_a_redirected_upload_is_not_sent_elsewhere_but_told_where(submit: Any, place: str, told: str) -> None:
    error = await refused(answer("301 Moved Permanently", Location=place), submit)
    assert error.message == (
        f"SERVER answered 301 Moved Permanently: it redirects to {told}; give --server the address that is meant"
    )


async def test_where_a_redirection_led_is_told(aiohttp_server: Any) -> None:
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/login?next=secret")

    async def login(request: web.Request) -> web.Response:
        return web.Response(text=HTML, content_type="text/html")

    app = web.Application()
    app.router.add_get(f"/runs/{RUN}", away)
    app.router.add_get("/login", login)
    url = str((await aiohttp_server(app)).make_url(""))
    async with open_remote(url) as there:
        with pytest.raises(ServerAnswerError) as caught:
            await there.run(RUN)
    assert f"it answered 200 with text/html at {url}/login" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        (b"AMQP\0\0\x09\x01", ServerAnswerError, "SERVER does not answer in HTTP: "),
        (b"SSH-2.0-OpenSSH\r\n", ServerAnswerError, "SERVER does not answer in HTTP: "),
        (b"", ServerAway, "The connection to SERVER broke off: Server disconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", ServerAway, "The connection to SERVER broke off: "),
    ],
)  # fmt: skip
async def test_what_is_no_http_answer_is_no_server_that_cannot_be_reached(said: bytes, kind: type, says: str) -> None:
    error = await refused(said, looked_at)
    assert type(error) is kind and error.message.startswith(says)


async def test_what_is_read_and_shown_has_a_bound(submit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_EVENT_BYTES", 100_000)
    error = await refused(answer("200 OK", "x" * 100_001), submit)
    assert error.message == "SERVER answers with more than 100,000 bytes"
    long = "x" * 50_000
    for body in (long, json.dumps({"detail": long, "code": "c" * 500, "advice": long})):
        page = answer(f"500 {'r' * 5000}", body, Content_Type="text/plain", Server="s" * 5000)
        error = await refused(page, submit)
        assert all(len(line) < 2_000 for line in (error.message, *error.details))


async def test_an_answer_that_does_not_end_is_not_waited_for(submit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BODY_TIMEOUT", 0.1)
    endless = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\nx"
    ended_never = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(endless)
        await ended_never.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_remote(f"http://127.0.0.1:{port}") as there:
            with pytest.raises(ServerAway, match="did not answer in time"):
                await submit(there)
        ended_never.set()


PROBLEM = {
    "detail": "The file holds no usable row.",
    "code": "no_usable_row",
    "advice": "See what is wrong.",
    "rejected": [{"line": n, "reason": "has 1 field, not 2", "excerpt": "Ann;\x1b[2Jann\nx"} for n in range(1, 60)],
}


async def test_a_problem_is_told_with_its_first_rows_and_what_to_do(submit: Any) -> None:
    error = await refused(answer("422 Unprocessable Content", json.dumps(PROBLEM)), submit)
    assert error.message == "The file holds no usable row. (no_usable_row)"
    *rows, advice = error.details
    assert len(rows) == answers.REJECTS_SHOWN and advice == "See what is wrong."
    assert rows[0] == "line 1: has 1 field, not 2: Ann;\x1b[2Jann x"


@pytest.mark.parametrize("rejected", [None, 5, ["x", None], [{"line": {}}], {}])
async def test_a_problem_of_any_form_is_a_problem(submit: Any, rejected: Any) -> None:
    body = json.dumps({"detail": ["odd"], "code": 7, "advice": None, "rejected": rejected})
    error = await refused(answer("400 Bad Request", body), submit)
    assert error.message == "['odd'] (7)"


async def test_the_details_are_kept_where_a_server_is_given_up() -> None:
    once = replace(follow.AWAY, within=0.0)
    problem = {"detail": "The database is away.", "code": "database_unavailable", "advice": "Wait."}
    run = encode_run(ended()) | {"finished_at": None}
    async with saying(answer("503 Service Unavailable", json.dumps(problem))) as there:
        with pytest.raises(ServerAway) as caught:
            _ = [one async for one in follow.follow(there, run, lambda text: None, once)]
    assert caught.value.message == "The database is away. (database_unavailable) (for 0 s)"
    assert caught.value.details == ("Wait.",)


def test_a_command_prints_every_line_and_nothing_that_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(options: argparse.Namespace) -> int:
        raise ServerAnswerError("No\x1b[2J. (no)", ["line 1: is \x07bad: x", "Do\x9b this."])

    options = argparse.Namespace(command=fails, verbose=0, quiet=False, endless=False, config=None)
    monkeypatch.setattr(cli, "parse", lambda arguments, features: options)
    assert cli.main([]) == 1
    assert capsys.readouterr().err.splitlines() == [
        r"promise-pub: No\x1b[2J. (no)",
        r"promise-pub: line 1: is \x07bad: x",
        r"promise-pub: Do\x9b this.",
    ]


def test_a_trouble_on_the_way_is_shown_without_what_a_terminal_obeys() -> None:
    told: list[str] = []
    LineDisplay(told.append).trouble("x\x1b[2J")
    assert told == [r"x\x1b[2J"]


def test_ci_is_told_all_of_it() -> None:
    error = ServerAnswerError("No. (no)", ["line 1: is bad", "Do this."])
    assert b"No. (no)\nline 1: is bad\nDo this." in junit.report(None, error, "a.csv", "x")


def test_pages_and_commands_say_the_same_of_a_proxy() -> None:
    script = (Path(__file__).parents[3] / "static" / "words.js").read_text(encoding="utf-8")
    table = script.partition("const BY_A_PROXY = {")[2].partition("};")[0].replace('" +\n    "', "")
    on_pages = {int(status): words for status, words in re.findall(r'(\d+): "(.*)",', table)}
    in_commands = {
        status: f"{words[0].upper()}{words[1:]}."
        for status, words in answers._SAID_BY.items()
        if "--server" not in words
    }
    assert on_pages == in_commands
