"""Files of other columns over real services: published, saved or explained, profiled, tried without a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.web_parts import ServerUnderTest, people, serving, settings

JSON = {"Accept": "application/json"}


@pytest.fixture
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path, max_upload=11_000_000)) as running,
    ):
        yield running


async def employees(database: DatabaseSettings) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.dbname,
    )
    try:
        rows = await connection.fetch("SELECT name, mail FROM employees ORDER BY id")
        return [(row["name"], row["mail"]) for row in rows]
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_spreadsheets_export_is_saved_by_the_names_in_its_header(
    server: ServerUnderTest, database: DatabaseSettings, mode: str
) -> None:
    text = 'id;mail;name\r\n1;zoe@x;"Zoë; Müller"\r\n2;€@x;Bo\r\n\r\n3;zoe@x;again\r\nbad\r\n'
    reply = await server.send(
        text.encode("cp1252"),
        f"?mode={mode}&timeout=0",
        header="true",
        delimiter=";",
        encoding="cp1252",
        columns="",
        profile="",
    )
    run = reply.json
    assert (reply.status, run["verdict"]) == (200, "kept")
    assert run["explanation"] == ["1 row repeats a mail that was saved before"]
    assert (run["columns"], run["header"]) == (["id", "mail", "name"], True)
    assert (run["delimiter"], run["encoding"], run["profile"]) == (";", "cp1252", None)
    assert (run["rows"]["read"], run["rows"]["rejected"]) == (4, 1)
    assert await employees(database) == [("Zoë; Müller", "zoe@x"), ("Bo", "€@x")]
    again = (await server.get(f"/runs/{run['id']}", headers=JSON)).json
    assert again["columns"] == ["id", "mail", "name"]


async def test_rows_that_the_consumer_cannot_use_are_counted_and_said(
    server: ServerUnderTest, database: DatabaseSettings
) -> None:
    reply = await server.send(b"1\n2\n2\n", "?timeout=0&mode=batch&columns=id")
    run = reply.json
    assert (reply.status, run["verdict"]) == (200, "broken")
    assert run["session"]["invalid"] == 3 and run["session"]["saved"] == 0
    (said,) = run["explanation"]
    assert said == (
        "3 rows were received, but of no use to the consumer: it reads 'name' and 'mail', and "
        "there is no 'name' and there is no 'mail'"
    )
    assert run["digest"] == run["session"]["digest"]
    assert await employees(database) == []


async def test_a_profile_is_kept_to_and_told(server: ServerUnderTest) -> None:
    reply = await server.send(people(90), "?timeout=0&mode=live&profile=20:1,200:0.5,5:1")
    run = reply.json
    assert (reply.status, run["verdict"], run["profile"]) == (200, "kept", "20:1,200:0.5,5:1")
    # 20 rows take the first second, 70 no less than a third of the second after it.
    assert run["seconds"]["publishing"] > 1.3


BAD: list[tuple[str, bytes, int, str]] = [
    ("?columns=", b"a,b\n", 400, "bad_parameter"),
    ("?columns=a,a", b"a,b\n", 400, "bad_parameter"),
    ("?columns=a%00", b"a,b\n", 400, "bad_parameter"),
    ("?columns=" + ",".join(map(str, range(101))), b"a,b\n", 400, "bad_parameter"),
    ("?header=true&columns=a", b"a\n1\n", 400, "bad_parameter"),
    ("?header=maybe", b"a\n1\n", 400, "bad_parameter"),
    ("?delimiter=ab", b"a,b\n", 400, "bad_parameter"),
    ("?delimiter=%22", b"a,b\n", 400, "bad_parameter"),
    ("?encoding=utf-16", b"a,b\n", 400, "bad_parameter"),
    ("?profile=10", b"a,b\n", 400, "bad_parameter"),
    ("?profile=0:5", b"a,b\n", 400, "bad_parameter"),
    ("?profile=10:5&rate=5", b"a,b\n", 400, "bad_parameter"),
    ("?header=true", b"", 422, "no_usable_row"),
    ("?header=true", b"a,\n1,2\n", 422, "bad_header"),
    ("?header=true", b"a,b,a\n1,2,3\n", 422, "bad_header"),
    ("?header=true", b'a,"b\n1,2\n', 422, "bad_header"),
    ("?dry_run=maybe", b"a,b\n", 400, "bad_parameter"),
]


@pytest.mark.parametrize(("query", "text", "status", "code"), BAD, ids=[one[0][:30] for one in BAD])
async def test_a_bad_format_has_its_answer_and_leaves_nothing(
    server: ServerUnderTest, query: str, text: bytes, status: int, code: str
) -> None:
    reply = await server.send(text, query)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert server.stored() == []
    assert (await server.get("/runs", headers=JSON)).json == []


async def test_a_dry_run_of_a_large_file_makes_nothing(server: ServerUnderTest) -> None:
    reply = await server.send(people(100_000, repeats=700) + b"bad\n", "?dry_run=true")
    told: Any = reply.json
    assert reply.status == 200
    assert told["rows"] == {"read": 100_001, "accepted": 100_000, "rejected": 1, "duplicates": 700}
    assert server.stored() == []
    assert (await server.get("/runs", headers=JSON)).json == []


async def test_a_preview_shows_what_will_be_published(server: ServerUnderTest) -> None:
    reply = await server.ask("POST", "/preview/?header=true", data=b"a,b\n1,2\n3", headers=JSON)
    assert reply.status == 200
    assert reply.json["rows"] == [{"number": 1, "body": {"a": "1", "b": "2"}}]
