"""The preview: the beginning of a file as it would be published and rejected."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.parameters import Parameters
from promise_pub.web.runs import preview
from tests.fakes import until
from tests.web_house import JSON, Client, House, opened


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made
        assert not made.ledger.calls
    assert not [*tmp_path.iterdir()]  # noqa: ASYNC240


async def previewed(house: House, data: Any, query: str = "") -> Any:
    return await house.client.post(f"/preview/{query}", data=data, headers=JSON)


async def test_rows_are_shown_as_they_will_be_published(house: House) -> None:
    answer = await previewed(house, b'"Lee, Ann",a@x\n\nbad\nBo,b@x\nCy,c')
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert await answer.json() == {
        "columns": ["name", "mail"],
        "rows": [
            {"number": 1, "body": {"name": "Lee, Ann", "mail": "a@x"}},
            {"number": 2, "body": {"name": "Bo", "mail": "b@x"}},
        ],
        "rejected": [{"line": 3, "reason": "has 1 field, not 2", "excerpt": "bad"}],
        "counts": {"accepted": 2, "rejected": 1},
        "more": True,
    }


async def test_the_end_is_judged_when_it_is_the_end(house: House) -> None:
    told = await (await previewed(house, b'a,b\nc,d\n"e', "?whole=true")).json()
    assert (told["counts"], told["more"]) == ({"accepted": 2, "rejected": 1}, False)
    told = await (await previewed(house, b'a,b\nc,d\n"e', "?whole=false")).json()
    assert (told["counts"], told["more"]) == ({"accepted": 2, "rejected": 0}, True)


async def test_the_header_names_the_columns_and_lines_count_on(house: House) -> None:
    data = "\nGröße;mail\n1;2\nbad\n".encode("cp1252")
    query = "?header=true&delimiter=%3B&encoding=windows-1252&whole=true"
    told = await (await previewed(house, data, query)).json()
    assert told["columns"] == ["Größe", "mail"]
    assert told["rows"] == [{"number": 1, "body": {"Größe": "1", "mail": "2"}}]
    assert [one["line"] for one in told["rejected"]] == [4]


@pytest.mark.parametrize("query", ["", "?header=true", "?whole=true", "?header=true&whole=true"])
async def test_an_empty_file_shows_nothing(house: House, query: str) -> None:
    if query == "?header=true":  # of what may be more: there is no end of its header
        assert (await previewed(house, b"", query)).status == 422
        return
    told = await (await previewed(house, b"", query)).json()
    assert (told["rows"], told["rejected"]) == ([], [])
    assert told["columns"] == ([] if "header" in query else ["name", "mail"])


async def test_ten_of_each_are_shown_and_all_counted(house: House) -> None:
    told = await (await previewed(house, b"a,b\nbad\n" * 5_000)).json()
    assert (len(told["rows"]), len(told["rejected"])) == (10, 10)
    assert told["counts"] == {"accepted": 5_000, "rejected": 5_000}


@pytest.mark.parametrize(
    ("query", "data", "status", "code", "says"),
    [
        ("?mode=live", b"a,b\n", 400, "bad_parameter", "columns, header, delimiter, encoding, whole"),
        ("?whole=yes", b"a,b\n", 400, "bad_parameter", "whole must be true or false"),
        ("?whole=true&whole=true", b"a,b\n", 400, "bad_parameter", "more than once"),
        ("?columns=", b"a,b\n", 400, "bad_parameter", "at least one"),
        ("?header=true", b"a,a\n", 422, "bad_header", "'a' appears 2 times"),
        ("?header=true", b"a,b", 422, "bad_header", "does not end within 3 bytes"),
        ("", gzip.compress(b"a,b\n", mtime=0), 422, "not_csv", "compressed with gzip: unpack it"),
        ("?header=true", b"sep=;\r\na;b\r\n", 422, "bad_header", "Line 1 is Excel's sep= line"),
        ("", b"x" * (preview.LIMIT + 1), 413, "file_too_large", "262,144 bytes"),
    ],
)  # fmt: skip
async def test_what_cannot_be_previewed_is_named(
    house: House, query: str, data: bytes, status: int, code: str, says: str
) -> None:
    answer = await previewed(house, data, query)
    problem = await answer.json()
    assert (answer.status, problem["code"]) == (status, code)
    assert says in problem["detail"]


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    answer = await previewed(house, endless())
    assert answer.status == 413


async def test_a_body_that_does_not_come_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "TIMEOUT", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        await asyncio.sleep(3600)

    answer = await previewed(house, slow())
    problem = await answer.json()
    assert (answer.status, problem["code"]) == (400, "upload_incomplete")
    assert "within 0.05 s" in problem["detail"]


async def test_so_many_are_made_at_once_and_others_are_told_to_come_again(house: House) -> None:
    previews = house.client.app[preview.PREVIEWS]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(previews.take_turn())
        waiting = [asyncio.create_task(previewed(house, b"a,b\n")) for _ in range(preview.MOST_AT_ONCE - 1)]
        await until(lambda: previews._admitted == preview.MOST_AT_ONCE)
        answer = await previewed(house, b"a,b\n")
        assert (answer.status, (await answer.json())["code"]) == (503, "too_many_waiting")
        assert int(answer.headers["Retry-After"]) > 0
    assert {(await one).status for one in waiting} == {200}
    assert (await previewed(house, b"a,b\n")).status == 200


@pytest.mark.parametrize("line", [b'"\n', b"\xff\n", b"a\n", b'"a"b\n', b'"\r', b'"a","b"\n', b"a,b\n"])
async def test_others_have_their_turn_between_pieces_of_any_file(house: House, line: bytes) -> None:
    lines = preview.LIMIT // len(line)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(others())
    told = await preview._judged(line * lines, Parameters(), whole=True)
    other.cancel()
    assert turns >= preview.LIMIT // preview.PIECE
    # Rejects cost the most, by far.
    assert turns >= told["counts"]["rejected"] / 250
