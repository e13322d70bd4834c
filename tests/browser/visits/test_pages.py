"""People walk through the pages in a real Chromium, and the record shows where they went."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows, tab_to
from tests.web_parts import ServerUnderTest, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

COOKIE = "PROMISE_PUB_ID"


async def session_of(page: Page) -> str:
    (cookie,) = [one for one in await page.context.cookies() if one.get("name") == COOKIE]
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Lax")
    return str(cookie.get("value"))


async def recorded(server: ServerUnderTest, hits: int) -> Any:
    """The record once it has so many hits. Asking for JSON is none."""

    async def look() -> Any:
        told = (await server.get("/visits?format=json")).json
        listed = sum(session["hits"] for session in told["sessions"])  # a moment before
        return told if min(listed, told["transitions"]["hits"]) >= hits else None

    told = await until(look)
    assert told["transitions"]["hits"] == hits
    return told


async def walk(eye: Eye) -> tuple[Page, list[str]]:
    """By links, by typing, by reload and back; the pages it comes by."""
    page = await eye.look("/")
    await page.get_by_role("link", name="Runs", exact=True).click()
    await page.wait_for_url("**/runs")
    await page.reload()
    await page.get_by_role("link", name="API").click()
    await page.wait_for_url("**/docs")
    await page.goto("/nowhere")
    eye.complaints.clear()  # Chromium notes the 404 that was asked for
    await page.get_by_role("navigation").get_by_role("link", name="New run", exact=True).click()
    await page.wait_for_url("**/")
    return page, ["/", "/runs", "/runs", "/docs", "not found", "/"]


async def test_who_walks_through_the_pages_is_seen_to(eye: Eye, server: ServerUnderTest) -> None:
    page, way = await walk(eye)
    session = await session_of(page)
    told = await recorded(server, len(way))
    (one,) = told["sessions"]
    assert (one["session_id"], one["hits"], one["pages"]) == (session, 6, 4)
    assert "Chrome" in one["user_agent"] and not one["ended"]
    counted = Counter(pairwise(way))
    assert {(step["from"], step["to"]): step["count"] for step in told["transitions"]["transitions"]} == counted

    await page.get_by_role("link", name="Visits", exact=True).click()
    await page.wait_for_url("**/visits")
    await expect(page.locator(".figures dd").nth(1)).to_have_text("6")
    picture = page.locator("svg.transitions")
    await expect(picture).to_be_visible()
    assert await picture.locator(".labels .name").all_text_contents() != []
    drawn = await picture.locator(".labels .name").all_text_contents()
    assert sorted(drawn) == sorted(set(way))
    assert await picture.locator(".edge").count() == len(counted)
    await page.get_by_text("Show as tables").click()
    lines = await page.locator("#figures section:nth-of-type(2) tbody tr").all()
    table = {}
    for line in lines:
        cells = await line.locator("td").all_text_contents()
        table[cells[0], cells[1]] = int(cells[2])
    assert table == counted

    await page.locator(".visits tbody a").first.click()
    await page.wait_for_url(f"**/visits/{session}")
    pages = await page.locator(".way tbody td:nth-child(3)").all_text_contents()
    assert pages[:6] == way
    answers = await page.locator(".way tbody td:nth-child(5)").all_text_contents()
    assert [answer.split()[1] for answer in answers[:6]] == [
        "200",
        "200",
        answers[2][-3:],
        "200",
        "404",
        answers[5][-3:],
    ]
    assert {answers[2][-3:], answers[5][-3:]} <= {"200", "304"}


async def test_two_visitors_are_two_sessions(eye: Eye, server: ServerUnderTest) -> None:
    one, other = await eye.look("/"), await eye.look("/runs")
    await one.goto("/runs")
    assert await session_of(one) != await session_of(other)
    told = await recorded(server, 3)
    assert {session["session_id"] for session in told["sessions"]} == {
        await session_of(one),
        await session_of(other),
    }
    entries = {page["page"]: page["entries"] for page in told["transitions"]["pages"]}
    assert entries == {"/": 1, "/runs": 1}


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
async def test_who_does_not_want_to_be_noted_is_not(eye: Eye, server: ServerUnderTest, header: str) -> None:
    page = await eye.look("/", extra_http_headers={header: "1"})
    await page.get_by_role("link", name="Runs", exact=True).click()
    await page.wait_for_url("**/runs")
    assert await page.context.cookies() == []
    await eye.look("/")
    assert (await recorded(server, 1))["transitions"]["pages"][0]["page"] == "/"


@IN_EACH_LOOK
async def test_the_record_is_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, size: tuple[int, int], dark: bool
) -> None:
    empty = await eye.look("/visits", size=size, dark=dark)
    await expect(empty.locator(".empty")).to_contain_text("No visits yet.")
    assert await findings(empty) == [] and not await overflows(empty)
    page, way = await walk(eye)
    await recorded(server, len(way) + 1)
    session = await session_of(page)
    for path in ("/visits", "/visits?since=7d", f"/visits/{session}"):
        page = await eye.look(path, size=size, dark=dark)
        await page.get_by_text("Show as tables").click()
        assert await findings(page) == [], path
        assert not await overflows(page), path


async def test_the_ways_of_a_page_stand_out_when_it_has_the_focus(eye: Eye, server: ServerUnderTest) -> None:
    _, way = await walk(eye)
    await recorded(server, len(way))
    page = await eye.look("/visits")
    await tab_to(page, "svg.transitions .page")
    faint = page.locator("svg.transitions .page:not(:focus) .edge").first
    await expect(faint).to_have_css("opacity", "0.07")
    own = page.locator("svg.transitions .page:focus .edge").first
    await expect(own).to_have_css("opacity", "1")
