"""Send only these again: exactly the records of some fates make a new run, as their file had them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import bundled, database_connection, delete_queue, employees, field
from tests.fates_parts import FORMATS, JSON, File, Format, file_of, listed, people_of, run_when, sent, start
from tests.web_parts import ServerUnderTest, serving, settings


@pytest.fixture
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    async with AsyncExitStack() as stack:
        consumer = await stack.enter_async_context(bundled(rabbit, database))
        yield await stack.enter_async_context(serving(settings(rabbit, database, consumer, tmp_path)))


async def send_again(server: ServerUnderTest, run: dict[str, Any], query: str) -> dict[str, Any]:
    reply = await server.ask("POST", f"/runs/{run['id']}/again?{query}", headers=JSON)
    assert reply.status == 202, reply.text
    return await run_when(server, reply.headers["Location"], lambda run: run["finished_at"])


async def contents(server: ServerUnderTest, run: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a run, as they are listed."""
    rows = (await server.get(f"/runs/{run['id']}/rows", headers=JSON)).json
    assert [row["row"] for row in rows] == [*range(1, len(rows) + 1)]
    return [tuple(row["values"].values()) for row in rows]


async def refuse(database: DatabaseSettings, pattern: str) -> None:
    async with database_connection(database) as connection:
        await connection.execute(f"ALTER TABLE employees ADD CONSTRAINT refused CHECK (mail NOT LIKE '{pattern}')")


async def allow(database: DatabaseSettings) -> None:
    async with database_connection(database) as connection:
        await connection.execute("ALTER TABLE employees DROP CONSTRAINT refused")


def refused_of(file: File) -> list[tuple[str, ...]]:
    return [one.values for one in file.rows if one.values and one.values[1].endswith("3@example.com")]


@pytest.mark.parametrize("format", FORMATS, ids=str)
async def test_exactly_the_rows_that_were_refused_arrive_and_no_other_is_deleted(
    server: ServerUnderTest, database: DatabaseSettings, format: Format
) -> None:
    file = file_of(format, people_of(format, 150))
    await refuse(database, "%3@example.com")
    first = await sent(server, file, clear="true")
    await allow(database)
    again = await send_again(server, first, "fate=unusable,missing")
    assert await contents(server, again) == refused_of(file) and len(refused_of(file)) == 15
    assert (again["verdict"], again["rows"]["read"], again["db_count"]) == ("kept", 15, 150)
    assert (first["clear"], again["clear"]) == (True, False)
    assert {*await employees(database)} == {one.values for one in file.rows}
    assert again["encoding"] == first["encoding"] and again["delimiter"] == first["delimiter"]


async def test_all_that_need_somebody_are_sent_again_without_the_rejected_ones(
    server: ServerUnderTest, rabbit: RabbitSettings
) -> None:
    file = file_of(FORMATS[0], people_of(FORMATS[0], 120))
    path = await start(server, file, mode="live", rate=150, timeout=1)
    run = await run_when(server, path, lambda run: run["rows"]["confirmed"] >= 30)
    await delete_queue(rabbit, run["session"]["uuid"])
    first = await run_when(server, path, lambda run: run["finished_at"])
    found = await listed(server, first, file)
    again = await send_again(server, first, "fate=attention")
    returned = {line for line in found.lines("returned")}
    assert await contents(server, again) == [one.values for one in file.rows if one.line in returned]
    assert again["verdict"] == "kept" and again["db_count"] == 120


async def test_rows_of_a_cancelled_run_are_sent_again_whether_they_were_published_or_not(
    server: ServerUnderTest,
) -> None:
    file = file_of(FORMATS[1], people_of(FORMATS[1], 400))
    path = await start(server, file, mode="batch", rate=200, timeout=0)
    await run_when(server, path, lambda run: run["rows"]["confirmed"] >= 30)
    await server.ask("POST", f"{path}/cancel", headers=JSON)
    first = await run_when(server, path, lambda run: run["finished_at"])
    found = await listed(server, first, file)
    # The rate of the first run holds for this one as well.
    again = await send_again(server, first, "fate=unpublished&fate=unconfirmed&fate=unknown")
    assert again["rows"]["read"] == len(found.lines("unpublished", "unconfirmed", "unknown")) == 400
    assert again["verdict"] == "kept" and again["db_count"] == 400


async def test_rows_that_look_like_something_else_at_the_beginning_of_a_file_stay_what_they_are(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    """A byte order mark, which a file may begin with, and Excel's line that names a delimiter."""
    format = Format()
    odd = {
        "\N{ZERO WIDTH NO-BREAK SPACE}Ann": "ann@example.com",
        "sep=": "",
    }
    async with bundled(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        for name, mail in odd.items():
            async with database_connection(database) as connection:
                await connection.execute(f"ALTER TABLE employees ADD CONSTRAINT refused CHECK (mail <> '{mail}')")
            file = file_of(format, [*people_of(format, 5), (name, mail)])
            first = await sent(server, file)
            await allow(database)
            again = await send_again(server, first, "fate=unusable")
            assert await contents(server, again) == [(name, mail)]
            assert again["totals"]["saved"] == 1


async def test_rows_that_a_field_consumer_dropped_are_sent_again(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    file = file_of(FORMATS[2], people_of(FORMATS[2], 80))
    async with field(rabbit, database) as consumer, serving(settings(rabbit, database, consumer, tmp_path)) as server:
        await refuse(database, "%3@example.com")
        first = await sent(server, file)
        await allow(database)
        again = await send_again(server, first, "fate=unsaved")
        assert await contents(server, again) == refused_of(file)
        assert again["db_count"] == 80


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("fate=missing", 409, "not_repeatable"),
        ("fate=unsaved,nacked", 409, "not_repeatable"),
        ("fate=attention", 409, "not_repeatable"),
        ("fate=rejected", 400, "bad_parameter"),
        ("fate=lost", 400, "bad_parameter"),
        ("fate=", 400, "bad_parameter"),
        ("fate=,", 400, "bad_parameter"),
        ("fates=missing", 400, "bad_parameter"),
    ],
)
async def test_nothing_is_sent_where_no_row_is_meant(
    server: ServerUnderTest, query: str, status: int, code: str
) -> None:
    file = file_of(FORMATS[0], people_of(FORMATS[0], 20))
    run = await sent(server, file, clear="true")
    reply = await server.ask("POST", f"/runs/{run['id']}/again?{query}", headers=JSON)
    assert (reply.status, reply.json["code"]) == (status, code), reply.text
    assert len((await server.get("/runs", headers=JSON)).json) == 1 and server.stored() == [".csv"]


@pytest.mark.parametrize("listed_before", [True, False])
async def test_rows_of_a_file_that_is_gone_or_has_changed_are_not_sent(
    server: ServerUnderTest, database: DatabaseSettings, listed_before: bool
) -> None:
    file = file_of(FORMATS[0], people_of(FORMATS[0], 30))
    await refuse(database, "%3@example.com")
    run = await sent(server, file)
    await listed(server, run, file)
    path = server.uploads / f"{run['id']}.csv"
    if not listed_before:
        async with database_connection(database) as connection:
            await connection.execute("DELETE FROM row_chunks")
            await connection.execute("UPDATE runs SET row_groups = '[]'")
    for content in (file.content.replace(b"3@example.com", b"4@example.com"), file.content[:-40], None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        reply = await server.ask("POST", f"/runs/{run['id']}/again?fate=unusable", headers=JSON)
        assert (reply.status, reply.json["code"]) == (409, "not_repeatable" if listed_before else "rows_lost")
        assert "stored file" in reply.json["detail"]
        assert len((await server.get("/runs", headers=JSON)).json) == 1
