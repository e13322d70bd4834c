"""A run's events: its changes, its end, and nothing after it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from promise_pub.errors import DatabaseUnavailable
from promise_pub.records import State
from promise_pub.web.runs import stream
from tests.fakes import until
from tests.web_house import Client, House, opened

ROWS = b"".join(b"%d,%d\n" % (n, n) for n in range(100))
SLOWLY = {"Content-Type": "text/csv", "Prefer": "respond-async", "Accept": "application/json"}


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


async def begun(house: House) -> str:
    answer = await house.client.post("/simulate/?mode=batch&rate=100", data=ROWS, headers=SLOWLY)
    assert answer.status == 202
    return answer.headers["Location"]


async def read(answer: Any, told: list[tuple[str, dict[str, Any]]]) -> None:
    """Adds each event, its name and its run, to the end of the stream."""
    name = ""
    async for line in answer.content:
        field, _, value = line.decode().strip().partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            told.append((name, json.loads(value)))


async def events(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    await read(answer, told)
    return told


def pauses(runs: list[dict[str, Any]]) -> list[float]:
    """Seconds between the moments of which they tell: a client may get two at once."""
    return [after["seconds"]["total"] - before["seconds"]["total"] for before, after in pairwise(runs)]


async def test_a_run_tells_how_it_goes_and_how_it_ended(house: House) -> None:
    path = await begun(house)
    answer = await house.client.get(f"{path}/stream")
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    told = await asyncio.wait_for(events(answer), 30)
    assert [name for name, _ in told] == ["progress"] * (len(told) - 1) + ["end"]
    confirmed = [run["rows"]["confirmed"] for _, run in told]
    assert confirmed == sorted(confirmed) and len(set(confirmed)) > 2 and confirmed[-1] == 100
    assert told[-1][1]["state"] == "completed"
    progress = [run for name, run in told if name == "progress"]
    assert all(pause > stream.CHECK_INTERVAL / 2 for pause in pauses(progress))


async def test_a_run_that_has_ended_says_so_once(house: House) -> None:
    run = await (await house.simulate()).json()
    path = f"/runs/{run['id']}/stream"
    told = await events(await house.client.get(path))
    assert [(name, event["verdict"]) for name, event in told] == [("end", "kept")]
    again = await house.client.get(path, headers={"Last-Event-ID": "end"})
    assert (again.status, await again.text()) == (204, "")
    head = await house.client.head(path)
    assert (head.status, head.content_type) == (200, "text/event-stream")


async def test_the_end_is_told_once_the_rows_are_listed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told of the end looks at the rows that need somebody."""
    write, listed = house.ledger.rows.write_chunks, asyncio.Event()

    async def write_late(*given: Any) -> None:
        await listed.wait()
        await write(*given)

    monkeypatch.setattr(house.ledger.rows, "write_chunks", write_late)
    told: list[tuple[str, dict[str, Any]]] = []
    answer = await house.client.get(f"{await begun(house)}/stream")
    reading = asyncio.create_task(read(answer, told))
    async with asyncio.timeout(30):
        while not told or told[-1][1]["state"] != "completed":  # noqa: ASYNC110  the server tells it
            await asyncio.sleep(0.02)
        assert told[-1][0] == "progress"
        listed.set()
        await reading
    assert told[-1][0] == "end" and told[-1][1]["fates"]["saved"] == 100


@pytest.mark.parametrize("every", [0.0, 3600.0])
async def test_a_page_is_told_the_parts_of_it_that_change(
    house: House, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    """Bars and tables with every event; curves as often as they are to come, or in an hour, for the page came with them."""
    monkeypatch.setattr(stream, "CHART_INTERVAL", every)
    answer = await house.client.get(f"{await begun(house)}/stream?format=html")
    text = await asyncio.wait_for(answer.text(), 30)
    *progress, end = text.replace("\r", "").strip().split("\n\n")
    assert all("event: progress" in event for event in progress) and "event: end" in end
    assert all(f'id="{part}"' in event for event in progress for part in ("outcome", "gauges", "figures"))
    drawn = [event for event in progress if 'id="curves"' in event]
    assert drawn == ([] if every else progress)
    for event in progress:
        rows = dict(re.findall(r'row">(Published|Confirmed)</th>.*?number">([0-9,]+)<', event))
        bars = dict(re.findall(r'label">(Published|Confirmed)</span>.*?count">([0-9,]+)<', event, re.DOTALL))
        assert rows == bars and rows, "tables and bars are of one moment"
    assert len({event for event in progress if "to go" in event}) > 1
    assert "The promise is kept." in end
    assert "<html" not in text and "retry: 1000" in text


async def test_a_stream_has_no_other_faces(house: House) -> None:
    path = await begun(house)
    for face in ("csv", "xml", ""):
        assert (await house.client.get(f"{path}/stream?format={face}")).status == 400


async def test_a_run_that_stands_still_is_told_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(stream, "MAX_SILENCE", 0.1)
    told: list[tuple[str, dict[str, Any]]] = []
    async with house.consumer.holding("create"):
        answer = await house.client.get(f"{await begun(house)}/stream")
        reading = asyncio.create_task(read(answer, told))
        await until(lambda: len(told) > 4)
    await asyncio.wait_for(reading, 30)
    waiting = [run for _, run in told if run["state"] == "negotiating"]
    assert len(waiting) > 3 and all(pause > 0.09 for pause in pauses(waiting))


async def test_there_is_no_stream_of_nothing_and_none_without_a_database(house: House) -> None:
    assert (await house.client.get("/runs/nothing/stream")).status == 404
    run = await (await house.simulate()).json()
    house.ledger.away = DatabaseUnavailable()
    assert (await house.client.get(f"/runs/{run['id']}/stream")).status == 503


async def test_a_client_that_leaves_takes_nothing_with_it(house: House) -> None:
    path = await begun(house)
    answer = await house.client.get(f"{path}/stream")
    await answer.content.readline()
    answer.close()
    run = house.runs.find(path.rpartition("/")[2])
    assert run
    await asyncio.wait_for(run.done.wait(), 30)
    assert run.report().state is State.COMPLETED


@pytest.mark.parametrize("separator", ["\u2028", "\u2029"])
async def test_what_python_takes_for_the_end_of_a_line_is_none_in_a_stream(house: House, separator: str) -> None:
    """It may stand in the name of a column."""
    answer = await house.simulate(f"?mode=batch&columns=name,b{quote(separator)}c")
    run = await answer.json()
    assert run["columns"] == ["name", f"b{separator}c"], run
    path = f"/runs/{run['id']}/stream"
    ((event, told),) = await events(await house.client.get(path))
    assert event == "end" and told["columns"] == run["columns"]
    html = await (await house.client.get(path, params={"format": "html"})).text()
    assert {line.partition(": ")[0] for line in html.strip().split("\n")} == {"id", "event", "data", "retry"}
