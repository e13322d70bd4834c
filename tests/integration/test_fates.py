"""Each fate of a row by a real cause: line, number and content as the file has them, and the sums those of the report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.consumer_parts import database_connection, employees
from tests.fates_parts import FORMATS, Format, file_of, listed, people_of, sent
from tests.web_parts import ServerUnderTest, serving, settings

LACKING = "the consumer says that it saved it, and employees lacks its mail"
StartServer = Callable[..., Awaitable[ServerUnderTest]]


@pytest.fixture
async def start_server(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> AsyncIterator[StartServer]:
    """A server with the bundled consumer, or with the field double where switches are given."""
    async with AsyncExitStack() as stack:

        async def start(kind: str = "bundled", *switches: str) -> ServerUnderTest:
            made = consumer_parts.field(rabbit, database, *switches) if kind == "field" else None
            consumer = await stack.enter_async_context(made or consumer_parts.bundled(rabbit, database))
            return await stack.enter_async_context(serving(settings(rabbit, database, consumer, tmp_path)))

        yield start


@pytest.mark.parametrize("format", FORMATS, ids=str)
async def test_every_row_is_saved_and_every_rejected_record_is_listed(
    start_server: StartServer, format: Format
) -> None:
    server = await start_server()
    file = file_of(format, people_of(format, 130))
    found = await listed(server, await sent(server, file), file)
    assert found.fates == {"saved": 130, "rejected": len(file.records) - 130}
    assert found.reasons("saved") == {""}


async def test_a_file_of_several_pieces_is_listed_whole(start_server: StartServer) -> None:
    server = await start_server()
    file = file_of(FORMATS[0], people_of(FORMATS[0], 12_000))
    found = await listed(server, await sent(server, file), file)
    assert found.fates["saved"] == 12_000


@pytest.mark.parametrize("kind", ["bundled", "field"])
async def test_a_repeat_names_the_line_of_the_first(start_server: StartServer, kind: str) -> None:
    server = await start_server(kind)
    format = FORMATS[2]
    people = people_of(format, 60)
    people[40:40] = [("another", people[5][1]), ("a third", people[5][1])]
    people.append(("the last", people[30][1]))
    file = file_of(format, people)
    found = await listed(server, await sent(server, file), file)
    rows = file.rows
    assert found.repeats("repeat") == {
        rows[40].line: rows[5].line,
        rows[41].line: rows[5].line,
        rows[62].line: rows[30].line,
    }
    assert found.fates["saved"] == 60


@pytest.mark.parametrize("kind", ["bundled", "field"])
async def test_a_file_that_is_sent_twice_was_in_the_table_before(start_server: StartServer, kind: str) -> None:
    server = await start_server(kind)
    format = FORMATS[3]
    first = file_of(format, people_of(format, 50))
    await sent(server, first)
    people = [*people_of(format, 50), ("again", "3@example.com"), *people_of(format, 20, first=51)]
    second = file_of(format, people)
    found = await listed(server, await sent(server, second), second)
    held = second.lines(lambda values: values[1] in {f"{n}@example.com" for n in range(1, 51)})
    (again,) = second.lines(lambda values: values[0] == "again")
    assert found.lines("held_before") == [line for line in held if line != again]
    assert found.repeats("repeat") == {again: held[2]}
    assert found.fates["saved"] == 20


async def test_rows_with_columns_that_the_consumer_does_not_look_for_are_unusable(start_server: StartServer) -> None:
    server = await start_server()
    format = FORMATS[5]
    file = file_of(format, people_of(format, 40), columns=("Name", "Mail"))
    run = await sent(server, file)
    found = await listed(server, run, file)
    assert found.fates["unusable"] == 40 and run["verdict"] == "broken"


@pytest.mark.parametrize("kind", ["bundled", "field"])
async def test_rows_that_are_too_long_are_unusable(start_server: StartServer, kind: str) -> None:
    server = await start_server(kind)
    format = FORMATS[0]
    people = people_of(format, 40)
    people[7] = ("x" * 128, "7@long.example")
    people[21] = (people[21][0], "é" * 120 + "@example.com")
    file = file_of(format, people)
    found = await listed(server, await sent(server, file), file)
    assert found.lines("unusable") == [file.rows[7].line, file.rows[21].line]
    assert found.fates["saved"] == 38


async def test_a_row_that_the_database_refuses_is_unusable(
    start_server: StartServer, database: DatabaseSettings
) -> None:
    server = await start_server()
    async with database_connection(database) as connection:
        await connection.execute("ALTER TABLE employees ADD CHECK (mail NOT LIKE '%3@example.com')")
    format = FORMATS[6]
    file = file_of(format, people_of(format, 50))
    found = await listed(server, await sent(server, file), file)
    assert found.lines("unusable") == file.lines(lambda values: values[1].endswith("3@example.com"))
    assert found.fates["saved"] == 45


@pytest.mark.parametrize("format", FORMATS[:4], ids=str)
async def test_rows_that_a_consumer_drops_are_unsaved(
    start_server: StartServer, database: DatabaseSettings, format: Format
) -> None:
    server = await start_server("field", "--lose", "3")
    file = file_of(format, people_of(format, 60))
    run = await sent(server, file)
    found = await listed(server, run, file)
    saved = {mail for _, mail in await employees(database)}
    assert found.lines("unsaved") == file.lines(lambda values: values[1] not in saved)
    assert found.fates["unsaved"] == 3 and run["verdict"] == "broken"


async def test_rows_that_are_gone_from_the_table_at_the_end_are_not_shown_as_saved(
    start_server: StartServer, database: DatabaseSettings
) -> None:
    """It commits, and something takes the row away again before anybody looks."""
    server = await start_server()
    async with database_connection(database) as connection:
        await connection.execute(
            "CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN DELETE FROM employees WHERE id = NEW.id AND mail LIKE '%4@example.com'; RETURN NULL; END $$"
        )
        await connection.execute(
            "CREATE TRIGGER drop_some AFTER INSERT ON employees FOR EACH ROW EXECUTE FUNCTION drop_some()"
        )
    file = file_of(FORMATS[1], people_of(FORMATS[1], 50))
    run = await sent(server, file)
    found = await listed(server, run, file)
    assert run["verdict"] == "unknown"
    assert found.lines("unknown") == file.lines(lambda values: values[1].endswith("4@example.com"))
    assert found.reasons("unknown") == {LACKING} and found.fates["saved"] == 45


@pytest.mark.parametrize("switches", [("--untold",), ("--remove", "missing")], ids=str)
async def test_rows_of_a_consumer_that_tells_nothing_are_unknown(
    start_server: StartServer, switches: tuple[str, ...]
) -> None:
    server = await start_server("field", *switches)
    file = file_of(FORMATS[4], people_of(FORMATS[4], 40))
    found = await listed(server, await sent(server, file), file)
    assert found.fates["unknown"] == 40
    assert found.reasons("unknown") == {"the consumer does not report what it received"}


async def test_a_consumer_that_says_more_than_the_table_shows_is_not_believed(
    start_server: StartServer, database: DatabaseSettings
) -> None:
    server = await start_server("field", "--lose", "2", "--lie-saved")
    file = file_of(FORMATS[7], people_of(FORMATS[7], 40))
    found = await listed(server, await sent(server, file), file)
    saved = {mail for _, mail in await employees(database)}
    assert found.lines("unknown") == file.lines(lambda values: values[1] not in saved)
    assert found.reasons("unknown") == {LACKING} and found.fates["saved"] == 38
