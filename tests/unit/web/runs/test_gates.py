"""Gates as the server takes them: from form, query and check boxes, refused with their places, kept by a run."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from promise_pub.parameters.gate import USUAL_GATES, parse_gate
from tests.web_house import JSON, Client, House, opened


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


def form(*fields: tuple[str, str]) -> aiohttp.FormData:
    data = aiohttp.FormData([("mode", "batch"), *fields])
    data.add_field("input_file", b"a,b\nbad\n", filename="data.csv")
    return data


@pytest.mark.parametrize(
    ("query", "fields", "gate"),
    [
        ("?fail_if=saved%3D0", [], "saved=0"),
        ("?fail_if=saved%3D0&fail_if=resent>0", [], "(saved=0) or (resent>0)"),
        ("", [("fail_if", "rejected > 0"), ("fail_if", "saved = 0"), ("fail_if", "")], "(rejected > 0) or (saved = 0)"),
        ("", [("fail_if", ""), ("fail_if", "p99 > 50ms")], "p99 > 50ms"),
        ("", [("fail_if", "")], None),
        ("?fail_if=saved%3D0", [("fail_if", "rejected > 0")], "saved=0"),
    ],
)
async def test_several_gates_are_one_and_the_query_wins(
    house: House, query: str, fields: list[tuple[str, str]], gate: str | None
) -> None:
    answer = await house.client.post(f"/simulate/{query}", data=form(*fields), headers=JSON)
    run = await answer.json()
    assert (answer.status, run["fail_if"]) == (200, gate)
    again = await house.client.post(f"/runs/{run['id']}/again", headers=JSON)
    assert (await again.json())["fail_if"] == gate


@pytest.mark.parametrize(
    "query",
    ["?fail_if=saved+<+acepted", "?fail_if=saved&fail_if=1>0", "?fail_if=", "?mode=live&mode=batch", "?fail_if=" + "x" * 1001],
)  # fmt: skip
async def test_a_wrong_one_is_refused_before_there_is_a_run(house: House, query: str) -> None:
    answer = await house.client.post(f"/simulate/{query}", data=form(), headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")
    assert await (await house.client.get("/runs", headers=JSON)).json() == []


async def test_the_caret_is_below_its_place_in_json_and_on_the_page(house: House) -> None:
    gate = ("fail_if", "saved < acepted")
    shown = "  saved < acepted\n          ^ there is no 'acepted': did you mean accepted?"
    told = await (await house.client.post("/simulate/", data=form(gate), headers=JSON)).json()
    assert shown in told["detail"]
    page = await (await house.client.post("/simulate/", data=form(gate))).text()
    assert shown in html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[0])


async def test_a_mistake_in_a_second_field_is_found_too_and_other_fields_stand_once(house: House) -> None:
    twice = form(("fail_if", "saved > 0) or (1 > 2"), ("fail_if", "saved > 0"))
    told = await (await house.client.post("/simulate/", data=twice, headers=JSON)).json()
    assert told["status"] == 400 and "this bracket closes nothing" in told["detail"]
    told = await (await house.client.post("/simulate/", data=form(("mode", "live")), headers=JSON)).json()
    assert told["detail"] == "mode is given more than once."


async def test_the_form_offers_the_usual_ones_as_check_boxes(house: House) -> None:
    page = await (await house.client.get("/")).text()
    boxes = re.findall(r'<input type="checkbox" name="fail_if" value="([^"]*)"', page)
    assert [*map(html.unescape, boxes)] == [*USUAL_GATES]
    assert all(parse_gate(gate).text == gate for gate in USUAL_GATES)
