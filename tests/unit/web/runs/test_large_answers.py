"""Answers whose size others choose: made aside, one at a time, while the event loop serves everybody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.http import responses
from promise_pub.records import MAX_REJECTS, Rejected
from tests.web_house import Client, House, opened

TURNED = "a\u202egnp.exe\x9b"


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


@pytest.fixture
async def run(house: House) -> str:
    """A run with as many rejects as are kept, and another one."""
    told: list[Any] = [await (await house.simulate()).json() for _ in range(2)]
    run_id: str = told[0]["id"]
    house.ledger.runs[run_id] = replace(house.ledger.runs[run_id], explanation=(TURNED,))
    await house.ledger.add_rejects(run_id, [Rejected(n, "has 1 field, not 2", TURNED) for n in range(MAX_REJECTS)])
    return f"{run_id}&run={told[1]['id']}"


PATHS = (
    "/runs/RUN/rejects?format=csv",
    "/runs/RUN/rejects?format=json",
    "/runs?per_page=500&format=csv",
    "/runs?per_page=500&format=json",
    "/runs?per_page=500",
    "/compare?run=BOTH",
    "/compare?run=BOTH&format=json",
    "/compare?run=BOTH&format=csv",
)


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_made_in_a_thread(house: House, run: str, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    made_in = set[int]()

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            made_in.add(threading.get_ident())
            return work(*arguments, **options)

        return noted

    monkeypatch.setattr(responses, "neutralise_cell", noting(responses.neutralise_cell))
    monkeypatch.setattr(responses, "dump_json", noting(responses.dump_json))
    monkeypatch.setattr(responses.aiohttp_jinja2, "render_template", noting(responses.aiohttp_jinja2.render_template))
    answer = await house.client.get(path.replace("BOTH", run).replace("RUN", run.partition("&")[0]))
    assert answer.status == 200
    assert len(made_in) == 1 and threading.get_ident() not in made_in


async def test_one_is_made_at_a_time_and_a_small_one_does_not_wait_for_it(
    house: House, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within, most = [0], [0]
    begun, go_on = threading.Event(), threading.Event()

    def as_csv(*arguments: Any) -> web.Response:
        within[0] += 1
        most[0] = max(most[0], within[0])
        begun.set()
        assert go_on.wait(60)
        within[0] -= 1
        return responses.as_csv(*arguments)

    monkeypatch.setattr("promise_pub.web.runs.run.as_csv", as_csv)
    path = f"/runs/{run.partition('&')[0]}/rejects?format=csv"
    asked = [asyncio.create_task(house.client.get(path)) for _ in range(5)]
    assert await asyncio.to_thread(begun.wait, 60)
    assert (await house.client.get("/healthz")).status == 200
    assert (await house.client.get(f"/runs/{run.partition('&')[0]}")).status == 200
    go_on.set()
    assert [(await one).status for one in asked] == [200] * 5
    assert most == [1]


async def test_writing_that_turns_and_controls_are_visible_on_pages(house: House, run: str) -> None:
    text = await (await house.client.get(f"/runs/{run.partition('&')[0]}")).text()
    assert r"a\u202egnp.exe\x9b" in text
    assert not {"\u202e", "\x9b"} & {*text}


async def test_writing_that_turns_is_escaped_in_json(house: House, run: str) -> None:
    answer = await house.client.get(f"/runs/{run.partition('&')[0]}/rejects?format=json")
    text = await answer.text()
    assert text.count(r'"a\u202egnp.exe\u009b"') == MAX_REJECTS - 1  # and one of its own
    assert (await answer.json())[-1]["excerpt"] == TURNED
