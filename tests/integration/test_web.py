"""The web server over real services, with the bundled consumer: every way to send a file, every bad one."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from promise_pub import errors
from promise_pub.http.intake import bodies
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.web_parts import ServerUnderTest, people, serving, settings, until

JSON = {"Accept": "application/json"}
QUICK = "?timeout=0&mode=batch"


def file_form(content: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("input_file", content, filename="data.csv")
    return form


async def listed(server: ServerUnderTest) -> Any:
    return (await server.get("/runs", headers=JSON)).json


async def stored(server: ServerUnderTest, endings: list[str]) -> bool:
    return server.stored() == endings


async def session_in_ledger(database: DatabaseSettings, run_id: str) -> Any:
    async with consumer_parts.database_connection(database) as connection:
        return json.loads(await connection.fetchval("SELECT session FROM runs WHERE id = $1", run_id))


@pytest.fixture
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path, max_upload=11_000_000)) as running,
    ):
        yield running


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_every_row_arrives_and_the_report_says_so(
    server: ServerUnderTest, database: DatabaseSettings, mode: str
) -> None:
    reply = await server.send(people(1000, repeats=72), f"?mode={mode}&timeout=50")
    run = reply.json
    assert reply.status == 200
    assert (run["state"], run["verdict"], run["mode"]) == ("completed", "kept", mode)
    assert run["explanation"] == ["72 rows repeat a mail that was saved before"]
    assert run["rows"] == {
        "read": 1000,
        "rejected": 0,
        "published": 1000,
        "confirmed": 1000,
        "returned": 0,
        "nacked": 0,
        "resent": 0,
        "in_flight": 0,
        "unpublished": 0,
    }
    assert run["session"] == {
        "uuid": run["session"]["uuid"],
        "received": 1000,
        "saved": 928,
        "duplicates": 72,
        "invalid": 0,
        "digest": run["digest"],
        "rows": "1-1000",
    }
    stored = await session_in_ledger(database, run["id"])
    assert (stored["duplicate_rows"], stored["invalid_rows"]) == ("929-1000", ""), (
        "the ledger keeps what the API leaves out"
    )
    assert run["db_count"] == 928
    assert run["seconds"]["total"] < 50, "the idle timeout was waited for although `sent` was told"
    assert 0 < run["confirm_ms"]["p50"] <= run["confirm_ms"]["p99"] <= run["confirm_ms"]["max"]


async def test_the_result_page_shows_what_people_ask_for(server: ServerUnderTest) -> None:
    form = file_form(b"Ann,ann@example.com\nno comma here\n")
    reply = await server.ask("POST", f"/simulate/{QUICK}", data=form)
    assert reply.status == 200 and reply.headers["Content-Type"] == "text/html; charset=utf-8"
    for text in (
        "Rows sent",
        "Database count",
        "Session UUID",
        "Received",
        "Saved",
        "The promise is kept",
    ):
        assert text in reply.text
    assert "no comma here" in reply.text, "the rejected row is shown"


async def test_form_fields_set_parameters_and_the_query_string_wins(
    server: ServerUnderTest,
) -> None:
    run = (await server.send(b"a,b\n", "?timeout=0", mode="batch", timeout="3600", rate="50", clear="true")).json
    assert (run["mode"], run["timeout"], run["rate"], run["clear"]) == ("batch", 0, 50, True)


async def test_the_file_can_be_the_body(server: ServerUnderTest) -> None:
    headers = JSON | {"Content-Type": "text/csv"}
    reply = await server.ask("POST", f"/simulate/{QUICK}&filename=mine.csv", data=b"a,b\r\n", headers=headers)
    assert reply.status == 200 and reply.json["file"]["name"] == "mine.csv"
    assert reply.json["file"]["bytes"] == 5


async def test_hostile_names_and_rows_are_data(server: ServerUnderTest, database: DatabaseSettings) -> None:
    rows = [
        ("<script>alert(1)</script>", "x1@example.com"),
        ("O'Brien", "x2@example.com"),
        ('"Quoted", "Twice"', "x3@example.com"),
        ("😀 كوكب שלום", "x4@example.com"),
        ("Robert'); DROP TABLE employees;--", "x5@example.com"),
        ("two\nlines", "x6@example.com"),
    ]
    content = "".join('"' + name.replace('"', '""') + f'",{mail}\n' for name, mail in rows).encode()
    name = "../../<b>&\u202e.csv"
    run = (await server.send(content, QUICK, name=name)).json
    assert run["verdict"] == "kept"
    assert await consumer_parts.employees(database) == rows
    page = await server.get(f"/runs/{run['id']}")
    assert "<b>&" not in page.text and "&lt;b&gt;" in page.text
    assert server.stored() == [".csv"] and list(server.uploads.parent.iterdir()) == [server.uploads]


@pytest.mark.parametrize(
    ("query", "named", "allowed"),
    [
        ("?mode=fast", "mode", "live or batch"),
        ("?mode=", "mode", "live or batch"),
        ("?timeout=-1", "timeout", "0 to 3600"),
        ("?timeout=abc", "timeout", "0 to 3600"),
        ("?timeout=99999", "timeout", "0 to 3600"),
        ("?timeout=1.5", "timeout", "0 to 3600"),
        ("?timeout=%D9%A3", "timeout", "0 to 3600"),
        ("?clear=maybe", "clear", "true or false"),
        ("?rate=-5", "rate", "0 to 1000000"),
        ("?tiemout=5", "tiemout", "mode, timeout, clear, rate"),
        ("?mode=live&mode=batch", "mode", "more than once"),
        ("?format=xml", "format", "html, json"),
    ],
)
@pytest.mark.parametrize("face", ["json", "html"])
async def test_a_wrong_parameter_is_named_with_its_values(
    server: ServerUnderTest, query: str, named: str, allowed: str, face: str
) -> None:
    form = file_form(b"a,b\n")
    reply = await server.ask("POST", f"/simulate/{query}", data=form, headers={"Accept": f"application/{face}"})
    assert reply.status == 400
    assert named in reply.text and allowed in reply.text
    if face == "json" and "format" not in query:
        assert reply.headers["Content-Type"].startswith("application/problem+json")
        assert reply.json["code"] == "bad_parameter" and reply.json["status"] == 400
    assert server.stored() == []


async def test_a_wrong_parameter_in_a_field_after_the_file_leaves_nothing(
    server: ServerUnderTest,
) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="input_file"; filename="d.csv"\r\n\r\na,b\n\r\n'
        b'--B\r\nContent-Disposition: form-data; name="mode"\r\n\r\nfast\r\n--B--\r\n'
    )
    reply = await server.ask(
        "POST",
        "/simulate/",
        data=body,
        headers=JSON | {"Content-Type": "multipart/form-data; boundary=B"},
    )
    assert (reply.status, reply.json["code"]) == (400, "bad_parameter")
    assert server.stored() == []


MULTIPART = {"Content-Type": "multipart/form-data; boundary=B"}
PART = b'--B\r\nContent-Disposition: form-data; name="input_file"; filename="d.csv"\r\n\r\n'


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        (MULTIPART, b"--B--\r\n", 400, "no_file"),
        (
            MULTIPART,
            b'--B\r\nContent-Disposition: form-data; name="mode"\r\n\r\nlive\r\n--B--\r\n',
            400,
            "no_file",
        ),
        (MULTIPART, PART.replace(b"d.csv", b"") + b"\r\n--B--\r\n", 400, "no_file"),
        (MULTIPART, PART + b"\r\n--B--\r\n", 422, "no_usable_row"),
        (MULTIPART, PART + b"a,b\nc,d\n", 400, "upload_incomplete"),
        (MULTIPART, PART + b"a,b\nc,d\n\r\n--", 400, "upload_incomplete"),
        (MULTIPART, b"not multipart at all", 400, "upload_incomplete"),
        ({"Content-Type": "multipart/form-data"}, PART, 400, "upload_incomplete"),
        (MULTIPART, PART + b"a,b\r\n" + PART + b"c,d\r\n--B--\r\n", 400, "bad_parameter"),
        (MULTIPART, b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--\r\n", 400, "bad_parameter"),
        (
            MULTIPART,
            PART.replace(b"input_file", b"mode") + b"x" * 5000 + b"\r\n--B--\r\n",
            400,
            "bad_parameter",
        ),
        ({"Content-Type": "text/csv"}, b"", 422, "no_usable_row"),
        (
            {"Content-Type": "text/csv", "Content-Encoding": "gzip"},
            b"a,b\n",
            415,
            "encoding_not_supported",
        ),
        (
            MULTIPART,
            PART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"YSxiCg==\r\n--B--\r\n",
            400,
            "bad_parameter",
        ),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"input_file=a,b", 400, "no_file"),
        ({"Content-Type": "application/json"}, b"{}", 400, "no_file"),
        ({"Content-Type": "text/csv"}, b"x" * 11_000_001, 413, "file_too_large"),
        (MULTIPART, PART + b"a,b\n" * 2_760_000 + b"\r\n--B--\r\n", 413, "file_too_large"),
    ],
    ids=lambda value: None if isinstance(value, dict) else repr(value)[:40],
)
async def test_a_bad_upload_has_its_answer_and_leaves_nothing(
    server: ServerUnderTest, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    reply = await server.ask("POST", "/simulate/", data=io.BytesIO(body), headers=JSON | headers)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert server.stored() == []
    assert (await server.get("/runs", headers=JSON)).json == []


BAD_FILES = {
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, 0),
    "latin-1 in line 3": (b"a,a@x\nb,b@x\nJos\xe9,c@x\nd,d@x\n", 3),
    "one field": (b"a,a@x\nonly one\nc,c@x\n", 2),
    "three fields": (b"a,a@x\nb,b@x,more\nc,c@x\n", 2),
    "open quote in line 2 of 1000": (people(1000).replace(b"Name 1,", b'"Name 1,', 1), 999),
    "NUL": (b"a,a@x\nb\0b,b@x\nc,c@x\n", 2),
    "10 MB line": (b"a,a@x\n" + b"x" * 10_000_000 + b"\nc,c@x\n", 2),
}


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_costs_its_bad_rows_and_no_more(server: ServerUnderTest, name: str) -> None:
    content, usable = BAD_FILES[name]
    reply = await server.send(content, QUICK)
    if not usable:
        assert (reply.status, reply.json["code"]) == (422, "no_usable_row")
        assert reply.json["rejected"][0]["line"] == 1
        assert server.stored() == []
        return
    run = reply.json
    assert reply.status == 200 and run["verdict"] == "kept"
    assert run["rows"]["confirmed"] == run["session"]["received"] == run["session"]["saved"] == usable
    assert run["rows"]["rejected"] == 1 and run["rows"]["read"] == usable + 1
    rejects = (await server.get(f"/runs/{run['id']}/rejects", headers=JSON)).json
    assert rejects[0]["line"] == (3 if "line 3" in name else 2)
    assert rejects[0]["reason"] and len(rejects[0]["excerpt"]) <= 200


async def test_rejects_come_as_csv_without_formulas(server: ServerUnderTest) -> None:
    run = (await server.send(b"a,b\n=cmd()\n", QUICK)).json
    reply = await server.get(f"/runs/{run['id']}/rejects")
    assert reply.headers["Content-Type"].startswith("text/csv")
    assert reply.text.splitlines()[0] == "line,reason,excerpt"
    assert reply.text.splitlines()[1].endswith(",'=cmd()")


async def test_an_upload_cut_off_half_way_leaves_nothing(server: ServerUnderTest) -> None:
    reader, writer = await asyncio.open_connection(server.url.host, server.url.port)
    writer.write(
        b"POST /simulate/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n"
        b"Content-Type: multipart/form-data; boundary=B\r\n\r\n" + PART + b"a,b\n" * 1000
    )
    await writer.drain()
    await until(lambda: stored(server, [".part"]))
    writer.transport.abort()
    await until(lambda: stored(server, []))
    assert (await server.get("/runs", headers=JSON)).json == []


async def test_an_upload_that_stands_still_is_given_up(
    server: ServerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "CHUNK_TIMEOUT", 0.2)
    reader, writer = await asyncio.open_connection(server.url.host, server.url.port)
    writer.write(
        b"POST /simulate/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\nContent-Type: text/csv\r\n\r\na,b\n"
    )
    async with asyncio.timeout(30):
        assert b"400" in await reader.readline()
    writer.close()
    assert server.stored() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Really small: a file system of one megabyte where mounting is allowed, a limit on file size elsewhere."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True
    ).returncode
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield tmp_path
    if mounted:
        subprocess.run(["umount", folder], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_507_and_leaves_nothing(
    rabbit: RabbitSettings, database: DatabaseSettings, small_disk: Path
) -> None:
    async with serving(settings(rabbit, database, 1, small_disk)) as server:
        reply = await server.send(people(100_000))
        assert (reply.status, reply.json["code"]) == (507, "disk_full")
        assert server.stored() == []


async def test_clear_empties_employees_before_the_run(server: ServerUnderTest, database: DatabaseSettings) -> None:
    await server.send(people(10), QUICK)
    again = (await server.send(people(10), QUICK)).json
    assert (again["session"]["saved"], again["session"]["duplicates"], again["db_count"]) == (
        0,
        10,
        10,
    )
    cleared = (await server.send(people(4), QUICK + "&clear=true")).json
    assert (cleared["session"]["saved"], cleared["db_count"]) == (4, 4)


async def test_respond_async_answers_at_once_and_the_run_goes_on(server: ServerUnderTest) -> None:
    headers = {"Accept": "application/json", "Prefer": "respond-async", "Content-Type": "text/csv"}
    first = await server.ask("POST", "/simulate/?rate=50&timeout=0&mode=batch", data=people(100), headers=headers)
    second = await server.ask("POST", f"/simulate/{QUICK}", data=people(1), headers=headers)
    assert (first.status, second.status) == (202, 202)
    assert first.headers["Location"] == f"/runs/{first.json['id']}"
    assert second.json["state"] == "queued" and second.json["position"] == 1
    page = await server.get(second.headers["Location"])
    assert "number 1 in the queue" in page.text
    states = [run["state"] for run in (await server.get("/runs", headers=JSON)).json]
    assert states[0] == "queued" and states[1] in ("negotiating", "publishing")
    ends = [await ended(server, run.headers["Location"]) for run in (first, second)]
    assert [end["verdict"] for end in ends] == ["kept", "kept"]
    assert ends[0]["seconds"]["publishing"] > 1.5, "100 rows at 50 a second"
    assert ends[0]["finished_at"] <= ends[1]["started_at"], "one at a time"


async def ended(server: ServerUnderTest, path: str) -> dict[str, Any]:
    async def end() -> Any:
        run = (await server.get(path, headers=JSON)).json
        return run["finished_at"] and run

    return dict(await until(end))


async def test_a_client_that_hangs_up_does_not_stop_its_run(server: ServerUnderTest) -> None:
    content = people(100)
    reader, writer = await asyncio.open_connection(server.url.host, server.url.port)
    writer.write(
        b"POST /simulate/?rate=100&timeout=0&mode=batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
        + f"Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    await writer.drain()
    runs = await until(lambda: listed(server))
    writer.transport.abort()
    assert (await ended(server, f"/runs/{runs[0]['id']}"))["verdict"] == "kept"


async def test_runs_are_paged_and_come_as_csv(server: ServerUnderTest) -> None:
    ids = [(await server.send(b"a,b\n", QUICK)).json["id"] for _ in range(3)]
    page = await server.get("/runs?page=2&per_page=1", headers=JSON)
    assert [run["id"] for run in page.json] == [ids[1]]
    assert page.headers["X-Total-Count"] == "3"
    for name, number in {"first": 1, "prev": 1, "next": 3, "last": 3}.items():
        assert f'</runs?page={number}&per_page=1>; rel="{name}"' in page.headers["Link"]
    table = await server.get("/runs?format=csv")
    assert len(table.text.splitlines()) == 4 and table.text.startswith("id,created_at,file,mode,state,verdict")
    assert ids[0] in (await server.get("/runs")).text and ids[0] in (await server.get("/")).text
    for bad in ("page=0", "page=x", "per_page=501", "per_page=-1", "page=99999999999999"):
        assert (await server.get(f"/runs?{bad}")).status == 400
    assert (await server.get("/runs?page=99")).status == 200


@pytest.mark.parametrize("run_id", ["nonsense", "00000000-0000-0000-0000-000000000000", "..%2f..%2fetc", "%00"])
@pytest.mark.parametrize("rest", ["", "/rejects"])
async def test_an_unknown_run_is_404(server: ServerUnderTest, run_id: str, rest: str) -> None:
    reply = await server.get(f"/runs/{run_id}{rest}", headers=JSON)
    assert reply.status == 404 and reply.json["status"] == 404


async def test_an_unknown_address_and_a_wrong_method_are_answered_in_the_layout(
    server: ServerUnderTest,
) -> None:
    missing, wrong = await server.get("/nowhere"), await server.get("/simulate/")
    assert (missing.status, wrong.status) == (404, 405)
    assert "nothing at /nowhere" in missing.text and "takes POST, not GET" in wrong.text
    assert "</footer>" in missing.text and "</footer>" in wrong.text


async def test_the_face_follows_accept_and_format_overrides_it(server: ServerUnderTest) -> None:
    await server.send(b"a,b\n", QUICK)
    for accept, kind in [
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("text/html, application/json;q=0.9", "text/html"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("application/json;q=0", "text/html"),
        ("garbage;q=x, ,;;", "text/html"),
    ]:
        reply = await server.get("/runs", headers={"Accept": accept})
        assert reply.headers["Content-Type"].startswith(kind), accept
    assert (await server.get("/runs?format=json", headers={"Accept": "text/html"})).json


async def test_every_answer_carries_the_security_headers(server: ServerUnderTest) -> None:
    for path in ("/", "/nowhere", "/static/style.css", "/healthz"):
        headers = (await server.get(path)).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"


async def test_health_and_readiness(server: ServerUnderTest) -> None:
    assert (await server.get("/healthz")).json == {"alive": True}
    ready = await server.get("/readyz")
    assert ready.status == 200
    assert ready.json == {"ready": True} | {
        name: {"ready": True} for name in ("broker", "database", "consumer", "uploads")
    }


async def test_readiness_names_what_is_away(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int
) -> None:
    away = replace(rabbit, port=unused_tcp_port)
    async with serving(settings(away, database, unused_tcp_port, tmp_path)) as server:
        reply = await server.get("/readyz")
    assert reply.status == 503 and reply.json["database"] == {"ready": True}
    assert "cannot be reached" in reply.json["broker"]["error"]
    assert "cannot be reached" in reply.json["consumer"]["error"]
    assert rabbit.password not in reply.text


async def test_too_many_waiting_runs_are_refused_before_the_upload(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path, max_waiting=1)) as server,
    ):
        headers = {
            "Accept": "application/json",
            "Prefer": "respond-async",
            "Content-Type": "text/csv",
        }
        going = await server.ask("POST", "/simulate/?rate=20&timeout=0", data=people(1000), headers=headers)
        waiting = await server.ask("POST", "/simulate/", data=people(1), headers=headers)
        refused = await server.ask("POST", "/simulate/", data=people(1), headers=headers)
        assert (going.status, waiting.status) == (202, 202)
        assert (refused.status, refused.json["code"]) == (503, "too_many_waiting")
        assert int(refused.headers["Retry-After"]) > 0
        assert len(server.stored()) == 2


async def test_a_database_without_the_scheme_stops_the_start(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with consumer_parts.database_connection(database) as connection:
        await connection.execute("DROP TABLE rejected_rows")
    with pytest.raises(errors.SchemaMissing, match="schema --apply"):
        async with serving(settings(rabbit, database, 1, tmp_path)):
            raise AssertionError


async def test_an_address_in_use_stops_the_start(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with serving(settings(rabbit, database, 1, tmp_path)) as server:
        with pytest.raises(errors.CannotListen, match=str(server.url.port)):
            async with serving(settings(rabbit, database, 1, tmp_path, port=server.url.port)):
                raise AssertionError
