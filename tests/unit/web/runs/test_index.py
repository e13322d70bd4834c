"""The handlers among fakes: what they make of runs, and of whatever their services raise."""

from __future__ import annotations

import asyncio
import html
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from markupsafe import escape

from promise_pub import errors
from promise_pub.http.intake.connections import CONNECTIONS
from promise_pub.http.ops import health
from promise_pub.http.problem_catalog import advise, find_entry
from promise_pub.parameters import DELIMITERS, ENCODINGS, PARAMETERS
from promise_pub.web.runs import index
from tests.fakes import until
from tests.listening import site
from tests.web_house import JSON, Client, House, opened


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
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
    assert problem["advice"] == advise(errors.find_class(problem["code"]))
    assert problem["code"] == problem["run"]["error"]["code"] == getattr(error, "code", "internal")
    assert "nobody foresaw it" not in problem["detail"]
    told = await (await house.client.get(f"/runs/{problem['run']['id']}")).text()
    assert escape(problem["advice"]) in told


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

    monkeypatch.setattr(house.ledger, "list_runs", fail)
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


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (errors.DatabaseUnavailable(), True),
        (errors.DatabaseError(passes=True), True),
        (errors.DatabaseReadOnly(passes=True), True),
        (errors.TooManyWaiting(), True),
        (errors.DatabaseError(), False),
        (errors.DatabaseRefused(), False),
        (errors.DatabasePooled(), False),
        (errors.SchemaMissing(), False),
    ],
    ids=repr,
)
async def test_when_to_try_again_is_said_where_that_is_of_use(
    house: House, monkeypatch: pytest.MonkeyPatch, error: errors.PromisePubError, passes: bool
) -> None:
    async def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(house.ledger, "list_runs", fail)
    for headers in ({}, JSON):
        answer = await house.client.get("/runs", headers=headers)
        assert (answer.status, "Retry-After" in answer.headers) == (503, passes)


@pytest.mark.parametrize(("error", "passes"), [(errors.DatabaseUnavailable(), True), (errors.SchemaMissing(), False)])
async def test_when_to_send_a_file_again_is_said_where_that_is_of_use(
    house: House, error: errors.PromisePubError, passes: bool
) -> None:
    house.consumer.fail["create"] = error  # as any step of a run may raise it
    for headers in ({}, JSON):
        answer = await house.simulate(**headers)
        assert (answer.status, "Retry-After" in answer.headers) == (503, passes)


async def test_the_empty_history_says_what_to_do(house: House) -> None:
    assert "None yet" in await (await house.client.get("/")).text()
    assert "No runs yet" in await (await house.client.get("/runs")).text()


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
    assert page.status == 409 and "The stored file is missing" in await page.text()
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


async def test_a_probe_that_hangs_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.01)
    async with site(tmp_path, probes={"broker": asyncio.Event().wait}) as there:
        async with there.http.get(there.url / "readyz") as answer:
            assert answer.status == 503 and "no answer" in (await answer.json())["broker"]["error"]


async def test_services_are_asked_once_for_all_who_ask_at_the_same_time(tmp_path: Path) -> None:
    asked, go_on = 0, asyncio.Event()

    async def probe() -> None:
        nonlocal asked
        asked += 1
        await go_on.wait()

    async with site(tmp_path, probes={"broker": probe}) as there:

        async def ask() -> int:
            async with there.http.get(there.url / "readyz") as answer:
                return answer.status

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        await until(lambda: there.app[CONNECTIONS].in_use == 20)
        go_on.set()
        assert await asyncio.gather(*asking) == [200] * 20
    assert asked == 1


def test_every_error_has_a_status() -> None:
    assert find_entry(errors.NoUsableRow).status == 422
    assert find_entry(errors.ConsumerStalled).status == 502
    assert find_entry(errors.SchemaMissing).status == 503
    assert find_entry(errors.ConfigurationError).status == 500


async def test_head_is_answered_like_get_without_a_body(house: House) -> None:
    answer = await house.client.head("/")
    assert answer.status == 200 and await answer.read() == b""


async def test_the_form_names_the_rows_that_would_be_deleted(house: House) -> None:
    house.ledger.employees += ["a", "b"]
    assert "table first (2 rows now)" in await (await house.client.get("/")).text()
    house.ledger.employees.pop()
    assert "table first (1 row now)" in await (await house.client.get("/")).text()
    assert await (await house.client.get("/employees")).json() == {"count": 1}


async def test_the_form_does_without_a_count_that_does_not_come(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "COUNT_FOR_PAGE", 0.01)
    monkeypatch.setattr(index, "COUNT_WHEN_ASKED", 0.01)
    monkeypatch.setattr(house.ledger, "count_employees", asyncio.Event().wait)
    page = await (await house.client.get("/")).text()
    assert "table first (number of rows unknown)" in page
    answer = await house.client.get("/employees", headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (503, "database_unavailable")


async def test_the_form_does_without_a_database(house: House) -> None:
    house.ledger.away = errors.DatabaseUnavailable("it is away")
    page = await (await house.client.get("/")).text()
    assert "it is away" in page and "(number of rows unknown)" in page and 'id="send"' in page
    assert (await house.client.get("/employees")).status == 503


async def test_the_form_offers_what_the_server_takes(house: House) -> None:
    page = await (await house.client.get("/")).text()
    assert 'data-most-upload="1000"' in page and "At most 1,000 bytes" in page
    for name in ("input_file", *(one.name for one in PARAMETERS)):
        assert f'name="{name}"' in page, name
    for name in DELIMITERS:
        assert f'<option value="{name}">' in page
    for name in set(ENCODINGS.values()):
        assert f"<option>{name}</option>" in page


async def test_the_form_as_it_comes_makes_a_run(house: House) -> None:
    """Browsers without scripts send every field, those that nobody filled in too."""
    page = await (await house.client.get("/")).text()
    form = aiohttp.FormData()
    for tag in re.findall(r"<input[^>]*>", page):
        kind, name = (re.search(rf' {what}="(.*?)"', tag) for what in ("type", "name"))
        if not kind or kind[1] == "number":
            value = re.search(r' value="(.*?)"', tag)
            form.add_field(name[1] if name else "", value[1] if value else "")
    form.add_field("delimiter", ",")
    form.add_field("encoding", "utf-8")
    form.add_field("input_file", b"a,b\n", filename="a.csv")
    answer = await house.client.post("/simulate/", data=form)
    assert answer.status == 200 and "a.csv" in await answer.text()


@pytest.mark.parametrize(
    ("path", "status", "title", "advice"),
    [
        ("/nowhere", 404, "Page not found", "Check the address"),
        ("/runs/7b0e0a52-0000-0000-0000-000000000000", 404, "Page not found", "find the run in the list"),
        ("/runs?state=odd", 400, "Invalid request", "Correct it and try again"),
        ("/simulate/", 405, "Method not allowed", "Use one of the links above"),
    ],
)
async def test_an_error_page_says_what_happened_and_what_to_do(
    house: House, path: str, status: int, title: str, advice: str
) -> None:
    answer = await house.client.get(path)
    page = await answer.text()
    assert answer.status == status and f"<h1>{title}</h1>" in page and advice in page
    told = await (await house.client.get(path, headers=JSON)).json()
    assert (told["status"], advice in told["advice"]) == (status, True)


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/", 'href="/" aria-current="page"'),
        ("/runs", 'href="/runs" aria-current="page"'),
        ("/nowhere", ""),
    ],
)
async def test_the_frame_tells_where_one_is(house: House, path: str, current: str) -> None:
    page = await (await house.client.get(path)).text()
    assert page.count("aria-current") == bool(current) and current in page
    assert page.index('href="#main"') < page.index("<header") and '<main id="main"' in page


async def test_a_run_is_below_the_runs(house: House) -> None:
    run = await (await house.simulate()).json()
    page = await (await house.client.get(f"/runs/{run['id']}")).text()
    assert 'href="/runs" aria-current="true"' in page
