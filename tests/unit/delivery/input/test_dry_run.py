"""Dry runs: everything is read and judged, nothing is published, and nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web

from promise_pub import errors
from promise_pub.delivery.input import dry_run
from promise_pub.delivery.input.duplicates import RepeatCounter
from tests.fakes import until
from tests.web_house import CSV, Client, House, opened


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made
        # Whatever was asked, nothing came of it.
        assert not made.ledger.runs and not made.broker.queues and not made.consumer.calls
        assert not [*tmp_path.iterdir()]  # noqa: ASYNC240


async def asked(house: House, text: bytes, query: str = "", **headers: str) -> Any:
    return await house.client.post(f"/simulate/?dry_run=true{query}", data=text, headers=CSV | headers)


async def test_it_tells_what_a_run_would_publish_and_reject(house: House) -> None:
    answer = await asked(house, b"Ann,a@x\nbad\nBo,b@x\n\nCy,a@x\n", "&filename=d.csv&rate=5")
    assert answer.status == 200
    told = await answer.json()
    assert told == {
        "dry_run": True,
        "file": {"name": "d.csv", "bytes": 27, "sha256": told["file"]["sha256"]},
        "columns": ["name", "mail"],
        "header": False,
        "delimiter": ",",
        "encoding": "utf-8",
        "rows": {"read": 4, "accepted": 3, "rejected": 1, "duplicates": 1},
        "duplicates_by": "mail",
        "rejected": [{"line": 2, "reason": "has 1 field, not 2", "excerpt": "bad"}],
    }


async def test_without_a_mail_a_repeat_is_a_whole_row(house: House) -> None:
    answer = await asked(house, "id;Größe\n1;2\n1;3\n1;2\n".encode("cp1252"),
                         "&header=true&delimiter=%3B&encoding=cp1252")  # fmt: skip
    told = await answer.json()
    assert (told["columns"], told["duplicates_by"]) == (["id", "Größe"], "row")
    assert told["rows"] == {"read": 3, "accepted": 3, "rejected": 0, "duplicates": 1}


async def test_all_rejected_rows_are_counted_and_the_first_50_told(house: House) -> None:
    told = await (await asked(house, b"bad\n" * 60 + b"a,b\n")).json()
    assert (told["rows"]["rejected"], len(told["rejected"])) == (60, 50)


async def test_people_get_a_page(house: House) -> None:
    answer = await asked(house, b"a,b\n<b>\n", "&format=html")
    page = await answer.text()
    assert answer.status == 200 and "Nothing was published" in page
    assert "&lt;b&gt;" in page and "has 1 field, not 2" in page


async def test_a_form_may_ask_for_it_too_and_is_answered_when_it_is_done(house: House) -> None:
    form = FormData({"dry_run": "true", "columns": "", "profile": "", "header": "true"})
    form.add_field("input_file", b"id\n1\n1\n", filename="x.csv")
    headers = {"Accept": "application/json", "Prefer": "respond-async"}
    answer = await house.client.post("/simulate/", data=form, headers=headers)
    told = await answer.json()
    assert (answer.status, told["file"]["name"], told["columns"]) == (200, "x.csv", ["id"])
    assert told["rows"]["duplicates"] == 1


@pytest.mark.parametrize(
    ("text", "query", "status", "code", "says"),
    [
        (b"", "", 422, "no_usable_row", "The file is empty."),
        (b"", "&header=true", 422, "no_usable_row", "The file is empty."),
        (b"a,b\n", "&header=true", 422, "no_usable_row", "a header and no row"),
        (b"bad\n", "", 422, "no_usable_row", "no usable row"),
        (b"a,a\n1,2\n", "&header=true", 422, "bad_header", "'a' appears 2 times"),
        ("a,b\n".encode("utf-16"), "", 422, "not_csv", "The file is UTF-16: save it as CSV UTF-8"),
        (b"a,b\n", "&encoding=utf-16", 400, "bad_parameter", "encoding must be one of"),
        (b"a,b\n", "&dry_run=true", 400, "bad_parameter", "more than once"),
        (b"x" * 1001, "", 413, "file_too_large", "limit"),
    ],
)
async def test_a_file_that_makes_no_run_makes_no_dry_run(
    house: House, text: bytes, query: str, status: int, code: str, says: str
) -> None:
    answer = await asked(house, text, query)
    problem = await answer.json()
    assert (answer.status, problem["code"]) == (status, code)
    assert says in problem["detail"]


@pytest.mark.parametrize("value", ["maybe", "", "1", "TRUE"])
async def test_a_dry_run_is_asked_for_or_not(house: House, value: str) -> None:
    answer = await house.client.post(f"/simulate/?dry_run={value}", data=b"a,b\n", headers=CSV)
    assert answer.status == 400
    assert "dry_run must be true or false" in (await answer.json())["detail"]


async def test_it_needs_no_database(house: House) -> None:
    house.ledger.away = errors.DatabaseUnavailable("it is away")
    told = await (await asked(house, b"a,b\nc,b\n")).json()
    assert told["rows"]["duplicates"] == 1


async def test_a_few_go_at_once_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, count, there = asyncio.Event(), RepeatCounter.count, 0

    async def waiting(counter: RepeatCounter) -> int:
        nonlocal there
        there += 1
        await gate.wait()
        return await count(counter)

    monkeypatch.setattr(RepeatCounter, "count", waiting)
    going = [asyncio.ensure_future(asked(house, b"a,b\n")) for _ in range(dry_run.MOST_AT_ONCE)]
    await until(lambda: there == len(going))
    refused = await asked(house, b"a,b\n")
    assert (refused.status, (await refused.json())["code"]) == (503, "too_many_waiting")
    gate.set()
    assert {(await answer).status for answer in going} == {200}
    assert (await asked(house, b"a,b\n")).status == 200


async def test_it_is_given_up_when_the_server_stops(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = asyncio.Event()

    async def forever(_: RepeatCounter) -> int:
        counting.set()
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(RepeatCounter, "count", forever)
    going = asyncio.ensure_future(asked(house, b"a,b\n"))
    await counting.wait()
    await house.runs.stop()
    answer = await going
    assert (answer.status, (await answer.json())["code"]) == (503, "server_stopping")
