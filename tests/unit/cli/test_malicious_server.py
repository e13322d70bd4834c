"""A server that writes what drives a terminal into all that it says: none of it comes out of any command."""

from __future__ import annotations

import asyncio
import copy
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub import cli
from promise_pub.cli import arguments, output, watch
from promise_pub.errors import PromisePubError
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import Fault, State, StoredFile, Verdict
from tests.run_parts import RUN, ended, report

# A colour, the clipboard, a bell, a line that is written over, one byte that begins a sequence, and text from right to left.
EVIL = "a\x1b[2J\x1b]52;c;aGFja2Vk\x07\rb\x08\x00\x85\x9b31m\u202egnp.exe\u2066\x7f"
FORMATS = ("text", "json", "csv")
RAW = "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
REDIRECT = f"HTTP/1.1 302 Found\r\nLocation: http://x/{EVIL}"


def harmful(text: str) -> set[str]:
    text = text.replace("\r\n", "\n")
    turning = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
    return {c for c in text if c not in "\n\t" and unicodedata.category(c) == "Cc" or c in turning}


async def say(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """All that a command says, on both of its streams."""
    options = arguments.parse(words)
    try:
        await options.command(options)
    except PromisePubError as error:
        cli._complain(options, error, [*error.message.splitlines(), *error.details])
    except Exception as error:  # noqa: BLE001  as a command line does
        cli._complain(options, error, [f"failed unexpectedly: {error}"])
    said = capsys.readouterr()
    return said.out + said.err


def evil_ones(told: Any) -> Iterator[Any]:
    """Yields the JSON with EVIL in one place of it, then in another."""
    for path in paths(told):
        made = copy.deepcopy(told)
        at = made
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = EVIL
        yield made


def paths(told: Any, *before: str | int) -> Iterator[tuple[str | int, ...]]:
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for name, value in inner:
        yield (*before, name)
        yield from paths(value, *before, name)


class Server:
    """A server that gives the same `answer` to everything but a request for rows or a stream."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.status = 200
        self.row: Any = {"line": 1, "fate": "saved", "content": "a"}

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        if request.path.endswith("/stream"):
            text = "".join(f"event: run\ndata: {json.dumps(self.answer)}\n\n" for _ in range(2))
            return web.Response(text=text, content_type="text/event-stream")
        if request.path.endswith("/rows"):
            if "csv" in request.headers["Accept"].split(",")[0]:
                return web.Response(text=f'{EVIL},b\r\n"x\ry"\r\n', content_type="text/csv")
            return web.Response(
                text=f"[\n{json.dumps(self.row, ensure_ascii=False)}\n]\n", content_type="application/json"
            )
        return web.Response(
            text=json.dumps(self.answer, ensure_ascii=False), content_type="application/json", status=self.status
        )


@pytest.fixture
async def server(aiohttp_server: Any) -> tuple[Server, str]:
    made, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    return made, str((await aiohttp_server(app)).make_url("/"))


FAILED = encode_run(
    ended(
        Verdict.UNKNOWN,
        "because",
        state=State.FAILED,
        error=Fault("consumer_refused", "no"),
        row_groups=(),
        finished_at=None,
    )
)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_run_says_nothing_of_it(
    server: tuple[Server, str], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    made, url = server
    for made.answer in evil_ones(encode_run(ended(Verdict.BROKEN, "because")) | {"passed": False, "attention": ["x"]}):
        said = await say(capsys, "send", "--follow", RUN, "--server", url, "--format", form)
        assert not harmful(said), (made.answer, said)
    for made.answer in evil_ones(FAILED | {"finished_at": encode_run(ended())["finished_at"]}):
        for words in (["runs", RUN, "--cancel"], ["runs", RUN, "--resume", "-v"]):
            said = await say(capsys, *words, "--server", url, "--format", form)
            assert not harmful(said), (made.answer, said)


@pytest.mark.parametrize("form", FORMATS)
async def test_a_dry_run_and_a_refusal_say_nothing_of_it(
    server: tuple[Server, str], capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    made, url = server
    file = tmp_path / "a.csv"
    file.write_text("a,b\n")
    rejected = [{"line": 1, "reason": "r", "excerpt": "e"}]
    counts = {"read": 1, "accepted": 0, "rejected": 1, "duplicates": 0}
    dry = {"dry_run": True, "file": {"name": "a"}, "columns": ["a"], "rows": counts, "rejected": rejected}
    for made.answer in evil_ones(dry):
        said = await say(capsys, "send", str(file), "--dry-run", "--server", url, "--format", form)
        assert not harmful(said), (made.answer, said)
    made.status = 422
    for made.answer in evil_ones({"detail": "d", "code": "c", "advice": "a", "rejected": rejected}):
        said = await say(capsys, "send", str(file), "--server", url, "--format", form, "-v")
        assert not harmful(said), (made.answer, said)


@pytest.mark.parametrize("form", FORMATS)
async def test_rows_say_nothing_of_it(
    server: tuple[Server, str], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    made, url = server
    made.answer = encode_run(ended(Verdict.BROKEN, "because")) | {"fates": {"lost": 3}}
    whole = {"line": 1, "row": 1, "fate": "lost", "reason": "r", "repeats_line": 1, "content": "c"}
    for made.row in evil_ones(whole):
        said = await say(capsys, "runs", RUN, "--rows", "--server", url, "--format", form)
        said += await say(capsys, "send", "--follow", RUN, "--server", url, "--format", form)
        assert not harmful(said), (made.row, said)


async def test_rows_in_json_stay_what_they_are(server: tuple[Server, str], capsys: pytest.CaptureFixture[str]) -> None:
    made, url = server
    made.row = {"line": 1, "fate": "lost", "content": EVIL}
    said = await say(capsys, "runs", RUN, "--rows", "--server", url, "--format", "json")
    assert json.loads(said) == [made.row]


@pytest.mark.parametrize(
    "answer",
    [
        f"HTTP/1.1 200 {EVIL}{RAW}",
        f"HTTP/1.1 500 OK\r\nServer: {EVIL}{RAW}",
        f"HTTP/1.1 200 OK\r\nServer: \x9b2J\u202e{RAW}",
        f"HTTP/1.1 400 \x9b2J\u202e{RAW}",
        f"{EVIL}\r\n\r\n",
        f"{REDIRECT}{RAW}",
        f"HTTP/1.1 302 Found\r\nLocation: http://x/\u202e\x9b{RAW}",
        "HTTP/1.1 502 Bad\r\nContent-Type: text/\x9b\u202e\r\nContent-Length: 9\r\n\r\n\x1b]52;c;a\x07",
    ],
)
async def test_no_part_of_an_answer_in_http_or_not_says_it(
    unused_tcp_port: int, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", unused_tcp_port):
        said = await say(capsys, "send", "--follow", RUN, "--server", f"http://127.0.0.1:{unused_tcp_port}", "-v")
    assert said and not harmful(said), said


@pytest.mark.parametrize("form", FORMATS)
def test_the_history_says_nothing_of_it(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Names and words in the database may be of an older version, which took more."""
    one = ended(
        Verdict.UNKNOWN,
        EVIL,
        file=StoredFile(EVIL, 1, EVIL),
        started_by=EVIL,
        error=Fault(EVIL, EVIL),
        id=f"{RUN}{EVIL}",
    )
    output.print_history([one], form)
    changes = watch.Changes(watch._PRINTERS[form])
    changes([one], EVIL)
    changes([report(error=Fault(EVIL, EVIL))], EVIL)
    said = capsys.readouterr()
    assert said.out and not harmful(said.out + said.err), said
