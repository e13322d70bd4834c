"""Runs side by side: what differs is marked, what cannot be compared is refused, and nothing is guessed."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import web

from promise_pub.errors import DatabaseUnavailable
from promise_pub.parameters import Mode, Parameters
from promise_pub.presentation.comparison import Fact, compare
from promise_pub.records import ConfirmLatency, Counts, RunReport, Seconds, SessionView, State, StoredFile, Verdict
from tests.web_house import JSON, Client, House, opened

RUN = RunReport(
    "a",
    Parameters(),
    StoredFile("a.csv", 2048, "ab" * 32),
    datetime.now(UTC),
    state=State.COMPLETED,
    verdict=Verdict.KEPT,
    counts=Counts(read=1000, published=1000, confirmed=1000),
    session=SessionView("s", received=1000, saved=900, duplicates=100),
    confirm_ms=ConfirmLatency(2, 4, 5, 10),
    seconds=Seconds(publishing=2.0, draining=2.0, total=4.0),
    db_count=900,
)


def fact(name: str, *reports: RunReport) -> Fact:
    return next(one for one in compare(reports) if one.name == name)


def test_a_run_beside_itself_differs_in_nothing() -> None:
    assert not any(one.differs or any(one.changes) for one in compare([RUN, RUN]))


@pytest.mark.parametrize(
    ("change", "name", "shown"),
    [
        ({"parameters": Parameters(mode=Mode.BATCH)}, "mode", ("live", "batch")),
        ({"parameters": Parameters(clear=True)}, "clear", ("false", "true")),
        ({"parameters": Parameters(rate=5000)}, "rate", ("0", "5,000")),
        ({"verdict": Verdict.BROKEN}, "verdict", ("kept", "broken")),
        ({"verdict": None}, "verdict", ("kept", "–")),
        ({"file": StoredFile("b.csv", 2048, "ab" * 32)}, "name", ("a.csv", "b.csv")),
        ({"session": None}, "received", ("1,000", "–")),
        ({"confirm_ms": None}, "p99", ("5.0 ms", "–")),
    ],
)
def test_what_differs_is_told(change: dict[str, object], name: str, shown: tuple[str, ...]) -> None:
    other = replace(RUN, **change)  # type: ignore[arg-type]
    found = fact(name, RUN, other)
    assert (found.differs, found.apart, found.shown) == (True, (False, True), shown)


def test_more_and_less_are_told_in_percent_of_the_first() -> None:
    slow = replace(RUN, seconds=Seconds(publishing=4.0, draining=5.0, total=9.0))
    quick = replace(RUN, seconds=Seconds(publishing=1.0, draining=0.0, total=1.0))
    assert fact("published and confirmed", RUN, slow, quick).changes == ("", "−50 %", "+100 %")
    assert fact("saved, start to end", RUN, slow, quick).values == (225, 100, 900)
    assert fact("timeout", RUN, replace(RUN, parameters=Parameters(timeout=10))).changes == ("", "")
    none_returned = replace(RUN, counts=replace(RUN.counts, returned=5))
    assert fact("returned", RUN, none_returned).changes == ("", "")  # of nothing there is no share


def test_every_setting_there_is_is_compared() -> None:
    told = {one.name for one in compare([RUN]) if one.group == "Settings"}
    assert told == set(Parameters.__dataclass_fields__)


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


async def runs(house: House, count: int) -> list[str]:
    return [(await (await house.simulate()).json())["id"] for _ in range(count)]


def asked(*ids: str) -> str:
    return "/compare?" + "&".join(f"run={run_id}" for run_id in ids)


async def test_runs_are_told_in_every_face_and_in_the_order_asked_for(house: House) -> None:
    first, second, third = await runs(house, 3)
    told = await (await house.client.get(asked(third, first, second), headers=JSON)).json()
    assert [run["id"] for run in told["runs"]] == [third, first, second]
    saved = next(one for one in told["facts"] if one["name"] == "saved")
    assert saved == {
        "group": "Rows",
        "name": "saved",
        "unit": "",
        "values": [0, 1, 0],
        "differs": True,
    }
    page = await (await house.client.get(asked(third, first))).text()
    assert "2 runs side by side" in page and "≠" in page and third in page
    answer = await house.client.get(asked(first, second) + "&format=csv")
    table = list(csv.reader(io.StringIO(await answer.text(), newline="")))
    assert table[0] == ["group", "name", "unit", first, second, "differs"]
    assert ["Rows", "saved", "", "1", "0", "True"] in table


@pytest.mark.parametrize("face", ["json", "csv", "html"])
async def test_too_few_too_many_and_the_same_run_twice_are_refused(house: House, face: str) -> None:
    (run_id,) = await runs(house, 1)
    more = [str(uuid4()) for _ in range(6)]
    for ids in ([run_id], [run_id, *more], [run_id, run_id], [run_id, run_id.upper()]):
        answer = await house.client.get(f"{asked(*ids)}&format={face}")
        assert answer.status == 400, ids
        assert "run" in await answer.text()


@pytest.mark.parametrize("face", ["json", "csv", "html"])
async def test_what_is_no_run_is_not_found(house: House, face: str) -> None:
    (run_id,) = await runs(house, 1)
    for ids in ([run_id, str(uuid4())], ["nothing", run_id], [str(uuid4())], ["", run_id]):
        if face != "html" and len(ids) < 2:
            continue
        answer = await house.client.get(f"{asked(*ids)}&format={face}")
        assert answer.status == 404, ids


async def test_without_a_choice_the_page_offers_one_and_scripts_are_told(house: House) -> None:
    assert "You need at least two runs to compare" in await (await house.client.get("/compare")).text()
    first, second = await runs(house, 2)
    answer = await house.client.get("/compare")
    page = await answer.text()
    assert answer.status == 200 and f'value="{first}"' in page and f'value="{second}"' in page
    one = await house.client.get(asked(first))
    assert one.status == 400 and f'value="{first}" checked' in await one.text()
    assert (await house.client.get("/compare", headers=JSON)).status == 400
    assert (await house.client.get("/compare?format=xml")).status == 400
    house.ledger.away = DatabaseUnavailable("it is away")
    answer = await house.client.get("/compare")
    assert answer.status == 200 and "it is away" in await answer.text()
    assert (await house.client.get(asked(first, second))).status == 503


async def test_a_run_that_still_goes_is_compared_as_it_is_now(house: House) -> None:
    (ended,) = await runs(house, 1)
    async with house.consumer.holding("create"):
        answer = await house.simulate(Prefer="respond-async")
        going = (await answer.json())["id"]
        page = await house.client.get(asked(ended, going))
        assert page.headers["Cache-Control"] == "no-store"
        assert "as they were when this page was loaded" in await page.text()
    run = house.runs.find(going)
    if run:
        await asyncio.wait_for(run.done.wait(), 30)
