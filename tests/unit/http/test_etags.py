"""Answers that a client has already: marks, 304, HEAD, and what caches are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.web_house import CSV, JSON, Client, House, opened
from tests.web_parts import until


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


async def a_run(house: House) -> str:
    return str((await (await house.simulate()).json())["id"])


PAGES = ("/", "/runs", "/runs/{id}", "/runs/{id}/rejects", "/docs", "/openapi.json", "/healthz")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_it_already_is_not_sent_it_again(house: House, path: str, method: str) -> None:
    path = path.format(id=await a_run(house))
    first = await house.client.request(method, path)
    for shown in (first.headers["ETag"], "*", f'"other", W/{first.headers["ETag"]}'):
        again = await house.client.request(method, path, headers={"If-None-Match": shown})
        assert (again.status, await again.read()) == (304, b"")
        for name in ("ETag", "Vary", "Cache-Control", "X-Total-Count", "Content-Security-Policy"):
            assert again.headers.get(name) == first.headers.get(name)
        assert "Content-Type" not in again.headers
    assert first.headers["Cache-Control"] == "no-cache"
    for shown in ('"other"', "no mark at all", ""):
        again = await house.client.request(method, path, headers={"If-None-Match": shown})
        assert again.status == 200


async def test_each_face_has_a_mark_of_its_own(house: House) -> None:
    path = f"/runs/{await a_run(house)}/rejects"
    faces = [{"Accept": "text/csv"}, JSON]
    marks = [(await house.client.get(path, headers=face)).headers["ETag"] for face in faces]
    assert marks[0] != marks[1]
    other = await house.client.get(path, headers=JSON | {"If-None-Match": marks[0]})
    assert other.status == 200 and other.headers["Vary"] == "Accept"


async def test_a_run_that_goes_is_told_anew_as_it_changes(house: House) -> None:
    async with house.consumer.holding("create"):
        started = await house.simulate(Prefer="respond-async")
        path = started.headers["Location"]
        going = await house.client.get(path, headers=JSON)

    async def has_ended() -> bool:
        run = await (await house.client.get(path, headers=JSON)).json()
        return bool(run["state"] == "completed")

    await until(has_ended)
    known = JSON | {"If-None-Match": going.headers["ETag"]}
    ended = await house.client.get(path, headers=known)
    assert ended.status == 200 and ended.headers["ETag"] != going.headers["ETag"]


async def test_a_history_with_another_count_is_another_though_its_page_is_the_same(
    house: House,
) -> None:
    await a_run(house)
    one = await house.client.get("/runs?page=9", headers=JSON)
    await a_run(house)
    two = await house.client.get("/runs?page=9", headers=JSON | {"If-None-Match": one.headers["ETag"]})
    assert await one.json() == await two.json() == []
    assert (two.status, two.headers["X-Total-Count"]) == (200, "2")


async def test_what_went_wrong_and_what_was_done_has_no_mark(house: House) -> None:
    run = await a_run(house)
    answers = [
        await house.client.get("/runs?page=0", headers={"If-None-Match": "*"}),
        await house.client.get("/nowhere", headers={"If-None-Match": "*"}),
        await house.client.post(f"/runs/{run}/cancel", headers={"If-None-Match": "*"}),
        await house.client.post("/simulate/", data=b"a,b\n", headers=CSV | {"If-None-Match": "*"}),
    ]
    assert [answer.status for answer in answers] == [400, 404, 409, 200]
    assert not any("ETag" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "path",
    [*PAGES, "/runs/{id}/stream", "/static/style.css", "/nowhere", "/runs/none", "/asyncapi.json"],
)
async def test_head_is_answered_like_get_without_the_body(house: House, path: str) -> None:
    path = path.format(id=await a_run(house))
    get, head = await house.client.get(path), await house.client.head(path)
    assert await head.read() == b"" and await get.read() != b""
    assert head.status == get.status
    assert told(head) == told(get)


def told(answer: Any) -> dict[str, str]:
    """What does not depend on the moment, nor on how the body is sent."""
    left_out = {"date", "transfer-encoding", "last-modified", "x-request-id"}
    return {name: text for name, text in answer.headers.items() if name.lower() not in left_out}


@pytest.mark.parametrize(
    ("path", "varies"),
    [("/runs", True), ("/runs/none", True), ("/nowhere", True), ("/", False), ("/healthz", False)],
)
async def test_caches_are_told_where_an_address_has_several_faces(house: House, path: str, varies: bool) -> None:
    answer = await house.client.get(path)
    assert answer.headers.get("Vary") == ("Accept" if varies else None)


@pytest.mark.parametrize(("path", "allowed"), [("/runs", {"GET", "HEAD"}), ("/simulate/", {"POST"})])
async def test_a_wrong_method_is_told_which_are_right(house: House, path: str, allowed: set[str]) -> None:
    answer = await house.client.delete(path, headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (405, "http_405")
    assert set(answer.headers["Allow"].split(",")) == allowed
