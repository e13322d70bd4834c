"""The handlers among fakes: what they make of runs, and of whatever their services raise."""

from __future__ import annotations

import asyncio
import html
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub import errors
from promise_pub.web import health
from promise_pub.web.problems import status_of
from tests.web_house import JSON, Client, House, opened


@pytest.fixture
async def house(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


async def test_a_run_is_answered_at_its_end_and_found_later(house: House) -> None:
    answer = await house.simulate()
    run = await answer.json()
    assert (answer.status, run["verdict"], run["rows"]["rejected"]) == (200, "kept", 1)
    again = await house.client.get(f"/runs/{run['id']}", headers=JSON)
    assert await again.json() == run
    page = await (await house.client.get(f"/runs/{run['id']}")).text()
    assert "has 1 field, not 2" in page and "The promise is kept" in page


@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ("create", errors.ConsumerTimeout(), 502),
        ("remove", errors.ConsumerStalled(), 502),
        ("create", RuntimeError("nobody foresaw it"), 500),
    ],
)
async def test_a_failed_run_is_a_problem_with_its_report(
    house: House, step: str, error: Exception, status: int
) -> None:
    house.consumer.fail[step] = error
    answer = await house.simulate()
    problem = await answer.json()
    assert (answer.status, problem["status"]) == (status, status)
    assert answer.content_type == "application/problem+json"
    assert problem["run"]["state"] == "failed"
    assert problem["code"] == problem["run"]["error"]["code"] == getattr(error, "code", "internal")
    assert "nobody foresaw it" not in problem["detail"]


async def test_a_stopped_server_takes_nothing_and_says_so(house: House) -> None:
    await house.runs.stop()
    answer = await house.simulate()
    assert (answer.status, (await answer.json())["code"]) == (503, "server_stopping")
    assert "Retry-After" in answer.headers


async def test_an_error_nobody_foresaw_is_a_page_without_its_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(house.ledger, "newest", fail)
    for headers in ({}, JSON):
        answer = await house.client.get("/runs", headers=headers)
        assert answer.status == 500 and "secret" not in await answer.text()


async def test_pages_do_without_a_ledger_where_they_can(house: House) -> None:
    run = await (await house.simulate()).json()
    house.ledger.away = errors.DatabaseUnavailable("it is away")
    assert "it is away" in await (await house.client.get("/")).text()
    for path in ("/runs", f"/runs/{run['id']}", f"/runs/{run['id']}/rejects"):
        assert (await house.client.get(path)).status == 503
    assert (await house.client.get("/healthz")).status == 200


async def test_the_empty_history_says_what_to_do(house: House) -> None:
    assert "None yet" in await (await house.client.get("/")).text()
    assert "Send a file" in await (await house.client.get("/runs")).text()


async def test_a_run_is_made_again_at_another_address_as_long_as_its_file_is_there(
    house: House,
) -> None:
    first = await (await house.simulate("?mode=batch&timeout=9&filename=mine.csv")).json()
    answer = await house.client.post(f"/runs/{first['id']}/again", headers=JSON)
    second = await answer.json()
    assert (answer.status, answer.headers["Location"]) == (202, f"/runs/{second['id']}")
    assert second["id"] != first["id"] and second["file"] == first["file"]
    assert (second["mode"], second["timeout"]) == ("batch", 9)
    house.uploads.path(first["id"]).unlink()
    answer = await house.client.post(f"/runs/{first['id']}/again", headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (409, "not_repeatable")
    page = await house.client.post(f"/runs/{first['id']}/again")
    assert page.status == 409 and "The stored file is gone" in await page.text()
    assert (await house.client.post("/runs/nothing/again", headers=JSON)).status == 404
    assert (await house.client.get(f"/runs/{first['id']}/again")).status == 405


async def test_a_page_has_the_curl_that_repeats_its_run(house: House) -> None:
    run = await (await house.simulate("?mode=batch&filename=it%27s%3Bmine.csv")).json()
    page = await (await house.client.get(f"/runs/{run['id']}")).text()
    server = f"http://{house.client.host}:{house.client.port}"
    command = html.unescape(page.partition('<code id="command" dir="ltr">')[2].partition("<")[0])
    assert shlex.split(command) == [
        "curl",
        "-F",
        'input_file=@"it\'s;mine.csv"',
        f"{server}/simulate/?mode=batch",
    ]


@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async"])
async def test_an_impatient_client_is_told_where_to_look(house: House, prefer: str) -> None:
    house.consumer.hang.add("create")
    answer = await house.simulate(Prefer=prefer)
    assert (answer.status, answer.headers["Preference-Applied"]) == (202, "respond-async")
    page = await house.client.get(answer.headers["Location"])
    assert page.headers["Cache-Control"] == "no-store"
    assert 'http-equiv="refresh"' in await page.text()


async def test_a_probe_that_hangs_is_not_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.01)
    house.probes["broker"] = asyncio.Event().wait
    answer = await house.client.get("/readyz")
    assert answer.status == 503 and "no answer" in (await answer.json())["broker"]["error"]


def test_every_error_has_a_status() -> None:
    assert status_of(errors.NoUsableRow) == 422
    assert status_of(errors.ConsumerStalled) == 502
    assert status_of(errors.SchemaMissing) == 503
    assert status_of(errors.ConfigurationError) == 500


async def test_head_is_answered_like_get_without_a_body(house: House) -> None:
    answer = await house.client.head("/")
    assert answer.status == 200 and await answer.read() == b""
