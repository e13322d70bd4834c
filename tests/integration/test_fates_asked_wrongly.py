"""Rows that cannot be listed, files that are not what they were, and clients that ask for what is not there."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from promise_pub.web.runs import rows
from tests.consumer_parts import bundled, database_connection
from tests.fates_parts import FORMATS, JSON, Format, file_of, listed, people_of, run_when, sent, start
from tests.web_parts import ServerUnderTest, csv_of, people, serving, settings

LAST_CHUNK = b"0\r\n\r\n"


@pytest.fixture
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    async with bundled(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as made:
        yield made


async def test_rows_of_a_run_that_waits_or_goes_are_not_listed_yet(server: ServerUnderTest) -> None:
    file = file_of(FORMATS[0], people_of(FORMATS[0], 600))
    going = await start(server, file, mode="batch", rate=150, timeout=0)
    queued = await start(server, file, mode="batch", rate=150, timeout=0)
    await run_when(server, going, lambda run: run["state"] == "publishing")
    for path, state in ((going, "publishing"), (queued, "queued")):
        for asked in ("", "?fate=missing", "?format=csv", "?format=html"):
            reply = await server.get(f"{path}/rows{asked}", headers=JSON)
            assert reply.status == 409 and state in reply.text and "ended" in reply.text
        refused = await server.ask("POST", f"{path}/again?fate=missing", headers=JSON)
        assert (refused.status, refused.json["code"]) == (409, "rows_not_ready")
        await server.ask("POST", f"{path}/cancel", headers=JSON)
    # One that was cancelled before its turn has read nothing.
    run = await run_when(server, queued, lambda run: run["finished_at"])
    found = await listed(server, run, file)
    assert found.fates["unpublished"] == 600 and run["rows"]["read"] == 0


async def test_a_dry_run_leaves_nothing_to_list(server: ServerUnderTest) -> None:
    dry = await server.send(people(5), "?dry_run=true")
    assert dry.status == 200 and (await server.get("/runs", headers=JSON)).json == []
    reply = await server.get("/runs/7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11/rows", headers=JSON)
    assert (reply.status, reply.json["code"]) == (404, "run_not_found")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("fate=lost", "one of rejected, unpublished"),
        ("fate=saved,lost", "'lost'"),
        ("fate=lost&format=yaml", "format"),
        ("format=yaml", "format"),
        ("after=-1", "after"),
        ("line=x", "line"),
        ("after=" + "9" * 13, "after"),
        ("per_page=0", "per_page"),
        ("per_page=1000000", "per_page"),
        ("text=" + "x" * 201, "200"),
        ("fates=saved", "no parameter 'fates'"),
        ("text=a&text=b", "more than once"),
    ],
)
async def test_what_cannot_be_asked_for_is_named(server: ServerUnderTest, query: str, says: str) -> None:
    run = (await server.send(people(5))).json
    for face in ("application/json", "text/html", "text/csv"):
        reply = await server.get(f"/runs/{run['id']}/rows?{query}", headers={"Accept": face})
        assert reply.status == 400 and says in reply.text.replace("&#39;", "'"), reply.text


@pytest.mark.parametrize("what", ["gone", "changed", "shorter", "longer", "a folder"])
async def test_lines_fates_and_rejected_records_remain_without_the_file(server: ServerUnderTest, what: str) -> None:
    file = file_of(FORMATS[5], people_of(FORMATS[5], 80))
    run = await sent(server, file)
    before = (await listed(server, run, file)).rows
    path = server.uploads / f"{run['id']}.csv"
    path.unlink()
    match what:
        case "changed":
            path.write_bytes(bytes([file.content[0] ^ 1]) + file.content[1:-3] + b"?" + file.content[-2:])
        case "shorter":
            path.write_bytes(file.content[:-30])
        case "longer":
            path.write_bytes(b"x" + file.content)
        case "a folder":
            path.mkdir()
    address = f"/runs/{run['id']}/rows"
    after = (await server.get(address, headers=JSON)).json
    for row, known in zip(after, before, strict=True):
        assert [row[name] for name in ("line", "row", "fate", "reason")] == [
            known[name] for name in ("line", "row", "fate", "reason")
        ]
        assert row["values"] is None and row["content"] == (known["content"] if row["fate"] == "rejected" else None)
    shown = await server.get(address)
    assert shown.status == 200 and "stored file" in shown.text
    searched = await server.get(f"{address}?text=example", headers=JSON)
    assert (searched.status, searched.json["code"]) == (409, "rows_lost")


async def test_a_head_request_has_no_body_and_leaves_the_connection_usable(server: ServerUnderTest) -> None:
    run = (await server.send(people(3000))).json
    reader, writer = await asyncio.open_connection(server.url.host, server.url.port)
    for format in ("json", "csv", "html"):
        path = f"/runs/{run['id']}/rows?format={format}"
        host = f"HTTP/1.1\r\nHost: {server.url.authority}\r\n\r\n"
        writer.write(f"HEAD {path} {host}GET /healthz {host}".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 200"), head
        after = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert after.startswith(b"HTTP/1.1 200"), f"what follows a HEAD of {format} is its body: {after!r}"
        length = next(line for line in after.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
    writer.close()
    await writer.wait_closed()


async def test_clients_that_hang_up_or_stop_reading_take_nothing_with_them(
    server: ServerUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Three times as many as there are connections to the database, and more than turns. The JSON is more than a socket
    takes."""
    monkeypatch.setattr(rows, "SEND_TIMEOUT", 0.5)
    content = csv_of(("n" * 120, f"{n}@example.com") for n in range(15_000))
    run = (await server.send(content, "?mode=batch&timeout=0")).json
    address = f"/runs/{run['id']}/rows"
    before = len(asyncio.all_tasks())
    with ExitStack() as stack:
        deaf = []
        for asked in ("format=json", "format=csv&text=nobody", "format=html&text=nobody", "format=csv") * 3:
            leaving = await asked_for(server, f"{address}?{asked}")
            leaving.close()
            deaf.append(stack.enter_context(await asked_for(server, f"{address}?{asked}")))
        # Everybody else is served meanwhile.
        assert len((await server.get(address, headers=JSON)).json) == 15_000
        await asyncio.sleep(0.6)
        came = b""
        with suppress(ConnectionResetError):
            while data := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(deaf[0], 1 << 16), 30):
                came = data
        assert not came.endswith(LAST_CHUNK), "what was not read for too long does not look whole"
    async with asyncio.timeout(30):
        while len(asyncio.all_tasks()) > before + 2:  # noqa: ASYNC110  the server's tasks end by themselves
            await asyncio.sleep(0.05)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def asked_for(server: ServerUnderTest, path: str) -> socket.socket:
    """A connection that has asked for something and does not read it."""
    loop, made = asyncio.get_running_loop(), socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    await loop.sock_connect(made, (server.url.host, server.url.port))
    await loop.sock_sendall(made, f"GET {path} HTTP/1.1\r\nHost: {server.url.authority}\r\n\r\n".encode())
    return made


async def test_rows_that_cannot_be_sent_to_the_end_do_not_look_whole(
    server: ServerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes behind what was sent: a text cannot be found there any more."""
    run = (await server.send(people(20_000), "?mode=batch&timeout=0")).json
    path = server.uploads / f"{run['id']}.csv"
    look = rows._Table.add

    def change(*given: Any) -> str:
        path.write_bytes(path.read_bytes()[:200_000] + b"?" * 1000)
        return look(*given)

    monkeypatch.setattr(rows._Table, "add", change)
    with pytest.raises(aiohttp.ClientPayloadError):
        await server.get(f"/runs/{run['id']}/rows?text=name", headers=JSON)


async def test_two_hundred_read_rows_while_a_run_goes(server: ServerUnderTest) -> None:
    run = (await server.send(people(1000), "?mode=batch&timeout=0")).json
    file = file_of(FORMATS[1], people_of(FORMATS[1], 2000))
    going = await start(server, file, mode="batch", timeout=0)

    async def read(n: int) -> int:
        asked = ("format=json", "format=csv", "format=html", "format=json&text=39")[n % 4]
        reply = await server.get(f"/runs/{run['id']}/rows?{asked}")
        return reply.status

    for first in range(0, 200, 40):
        assert {*await asyncio.gather(*map(read, range(first, first + 40)))} == {200}
    ended = await run_when(server, going, lambda run: run["finished_at"])
    assert ended["verdict"] == "kept"


async def test_contents_are_neutralised_and_whole_however_long_they_are(
    server: ServerUnderTest, database: DatabaseSettings
) -> None:
    """A field of as many characters as there may be; a record that is longer is rejected, and shown by its beginning."""
    long = "é" * 131_072
    rows = [("=cmd|'/C calc'!A0", "+1@x"), ("@SUM(1)", "-2@x"), (long, "3@x"), ("plain", "4@x")]
    file = file_of(Format(), rows)
    content = file.content + b'"' + b"z" * 10_000_000 + b'",5@x\n'
    reply = await server.send(content)
    run = reply.json
    told = (await server.get(f"/runs/{run['id']}/rows", headers=JSON)).json
    assert [tuple(row["values"].values()) for row in told if row["values"]] == rows
    assert [row["fate"] for row in told] == ["saved", "saved", "unusable", "saved", "rejected"]
    assert told[-1]["content"] == '"' + "z" * 199
    table = await server.get(f"/runs/{run['id']}/rows?format=csv")
    cells = [line.rpartition(",,")[2] for line in table.text.split("\r\n")[1:-1]]
    assert not [cell for cell in cells if cell.lstrip('"').startswith(("=", "+", "-", "@"))]
    page = await server.get(f"/runs/{run['id']}/rows")
    assert page.status == 200 and len(page.text) < 100_000


async def test_rows_are_worked_out_once_for_all_who_ask_at_once(
    server: ServerUnderTest, database: DatabaseSettings
) -> None:
    file = file_of(FORMATS[3], people_of(FORMATS[3], 3000))
    run = await sent(server, file)
    await listed(server, run, file)
    async with database_connection(database) as connection:
        await connection.execute("DELETE FROM row_chunks")
        await connection.execute("UPDATE runs SET row_groups = '[]'")

    async def read() -> Any:
        return (await server.get(f"/runs/{run['id']}/rows", headers=JSON)).text

    texts = await asyncio.gather(*(read() for _ in range(20)))
    assert len({*texts}) == 1 and len(json.loads(texts[0])) == len(file.records)
