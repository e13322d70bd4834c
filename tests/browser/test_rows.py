"""Rows that were not saved, in a real browser: their contents in one click, sent again in two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows
from tests.web_parts import ServerUnderTest, serving, settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = 3
HOSTILE = "<img src=x onerror=alert(1)>"
FILE = f"""\
{HOSTILE},eve@example.com
"Two
lines",two@example.com
no comma here
Cid,cid@example.com
Dan,dan@example.com
Eve,dan@example.com
""".encode()
"""The consumer loses the first three rows, on the lines 1, 2 and 5."""


@pytest_asyncio.fixture(loop_scope="session")
async def server(rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path) -> AsyncIterator[ServerUnderTest]:
    """With a consumer that receives rows and loses the first of them."""
    async with (
        consumer_parts.field(rabbit, database, "--lose", str(LOST)) as consumer,
        serving(settings(rabbit, database, consumer, tmp_path)) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def run(server: ServerUnderTest) -> dict[str, Any]:
    """A run of the file, which has ended."""
    ended: dict[str, Any] = (await server.send(FILE, "?mode=batch&timeout=1&clear=true", name="people.csv")).json
    assert ended["verdict"] == "broken" and ended["fates"]["unsaved"] == LOST
    return ended


async def cells(page: Page, column: int) -> list[str]:
    return await page.locator(f"table.rows tbody td:nth-child({column})").all_inner_texts()


async def test_from_the_bar_to_the_contents_in_one_click(eye: Eye, run: dict[str, Any]) -> None:
    page = await eye.look(f"/runs/{run['id']}")
    await expect(page.get_by_role("heading", name="Rows that need you")).to_have_text("Rows that need you (4)")
    await page.get_by_role("link", name="3 unexplained").click()
    assert await cells(page, 1) == ["1", "2", "5"]
    assert await cells(page, 3) == ["not saved"] * LOST
    contents = await cells(page, 4)
    assert contents[0] == f"{HOSTILE},eve@example.com" and contents[2] == "Cid,cid@example.com"
    assert "Two\nlines" in contents[1]
    assert await page.locator("main img").count() == 0


async def test_they_are_sent_again_in_two_clicks_and_the_table_is_not_emptied(
    eye: Eye, server: ServerUnderTest, run: dict[str, Any]
) -> None:
    page = await eye.look(f"/runs/{run['id']}")
    held = (await server.get("/employees")).json["count"]
    await page.get_by_role("link", name="3 unexplained").click()
    again = page.get_by_role("button", name="Send only these again")
    await expect(again).to_have_accessible_description("a new run of exactly these 3 rows; it does not empty employees")
    await again.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("3 rows again")
    await expect(page.get_by_role("status").first).to_have_text("The promise is broken.")  # it loses them again
    other = (await server.get(f"{page.url.removeprefix(str(server.url))}?format=json")).json
    assert other["id"] != run["id"] and (other["rows"]["read"], other["clear"]) == (LOST, False)
    assert (await server.get("/employees")).json["count"] == held > 0
    rows = (await server.get(f"/runs/{other['id']}/rows?format=json")).json
    before = (await server.get(f"/runs/{run['id']}/rows?format=json&fate=unsaved")).json
    assert [row["values"] for row in rows] == [row["values"] for row in before]


async def test_rows_are_found_by_fate_text_and_line_without_scripts_too(eye: Eye, run: dict[str, Any]) -> None:
    page = await eye.look(f"/runs/{run['id']}/rows", scripts=False)
    assert len(await cells(page, 1)) == 6
    await page.get_by_role("link", name="rejected 1").click()
    assert await cells(page, 1) == ["4"]
    await page.get_by_role("link", name="rejected 1").click()
    await page.get_by_label("Content contains").fill("DAN")
    await page.get_by_role("button", name="Apply").click()
    assert await cells(page, 1) == ["6", "7"]
    await page.get_by_role("link", name="line 6").click()
    assert (await cells(page, 1))[0] == "6"
    await page.get_by_label("From line").fill("7")
    await page.get_by_role("button", name="Apply").click()
    assert await cells(page, 3) == ["repeat"]


async def test_what_is_filtered_is_downloaded(eye: Eye, run: dict[str, Any]) -> None:
    page = await eye.look(f"/runs/{run['id']}/rows?fate=unsaved")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="CSV").click()
    download = await downloading.value
    text = (await asyncio.to_thread(Path(await download.path()).read_bytes)).decode()
    assert download.suggested_filename == f"rows-{run['id']}.csv"
    assert text.startswith("line,row,fate,reason,repeats_line,content") and text.count("unsaved") == LOST


@IN_EACH_LOOK
async def test_both_pages_are_sound(eye: Eye, run: dict[str, Any], size: tuple[int, int], dark: bool) -> None:
    for path in (f"/runs/{run['id']}", f"/runs/{run['id']}/rows?fate=unsaved"):
        page = await eye.look(path, size=size, dark=dark)
        assert await findings(page) == [], path
        assert not await overflows(page), path
