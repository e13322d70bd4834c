"""The history in a real Chromium: found, sorted and chosen by mouse and by keyboard, with scripts and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows, shifted, tab_to
from tests.web_parts import ServerUnderTest, people

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = ("people.csv", "March.csv", "<b>&'\".csv", "march-2.csv")


@pytest_asyncio.fixture(loop_scope="session")
async def ids(server: ServerUnderTest) -> AsyncIterator[list[str]]:
    """Four runs of different lengths and modes; their ids."""
    sent = [
        await server.send(people(10 * (at + 1)), f"?timeout=0&mode={'live' if at % 2 else 'batch'}", name=name)
        for at, name in enumerate(NAMES)
    ]
    yield [reply.json["id"] for reply in sent]


async def shown(page: Page) -> list[str]:
    return await page.locator(".runs tbody .file").all_text_contents()


async def test_runs_are_found_and_sorted_by_keyboard(eye: Eye, ids: list[str], server: ServerUnderTest) -> None:
    page = await eye.look("/runs")
    assert await shown(page) == list(reversed(NAMES))
    await tab_to(page, "#file")
    await page.keyboard.type("MARCH")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs?file=MARCH&sort=started&order=desc")
    assert await shown(page) == ["march-2.csv", "March.csv"]
    await tab_to(page, "th a")
    await tab_to(page, "th a")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs?file=MARCH&sort=file")
    assert await shown(page) == ["march-2.csv", "March.csv"]
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("File ↑")
    await tab_to(page, "th[aria-sort] a")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs?file=MARCH&sort=file&order=desc")
    assert await shown(page) == ["March.csv", "march-2.csv"]
    await page.get_by_role("link", name="Clear filters").click()
    await page.wait_for_url("**/runs")
    assert len(await shown(page)) == 4


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_runs_are_found_by_mouse_with_scripts_and_without(eye: Eye, ids: list[str], scripts: bool) -> None:
    page = await eye.look("/runs", scripts=scripts)
    await page.get_by_label("Mode").select_option("batch")
    await page.get_by_label("Sort by").select_option("sent")
    await page.get_by_label("Order").select_option("asc")
    await page.get_by_role("button", name="Apply").click()
    assert await shown(page) == [NAMES[0], NAMES[2]]
    assert ("state=" in page.url) is not scripts, "an address says no more than it has to"
    await expect(page.get_by_label("Mode")).to_have_value("batch")
    await page.get_by_label("State").select_option("failed")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("main")).to_contain_text("No runs match these filters")
    assert not scripts or await findings(page) == []  # axe is a script itself


async def test_two_to_six_runs_are_chosen_by_keyboard_and_compared(eye: Eye, ids: list[str]) -> None:
    page = await eye.look("/runs")
    await page.route("**/compare?*", lambda route: route.fulfill(body="compared"))
    button, hint = page.get_by_role("button", name="Compare"), page.locator("#compare_hint")
    await expect(button).to_be_disabled()
    await tab_to(page, "[name=run]")
    await page.keyboard.press("Space")
    await expect(hint).to_have_text("1 run chosen: choose another.")
    await expect(button).to_be_disabled()
    await tab_to(page, "[name=run]")
    await page.keyboard.press("Space")
    await expect(hint).to_have_text("2 runs chosen.")
    assert await findings(page) == []
    await tab_to(page, "#compare button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/compare?*")
    assert parse_qs(urlsplit(page.url).query) == {"run": [ids[3], ids[2]]}


async def test_more_than_six_runs_are_not_compared(eye: Eye, ids: list[str], server: ServerUnderTest) -> None:
    for _ in range(3):
        await server.send(b"a,b\n", "?timeout=0&mode=batch")
    page = await eye.look("/runs")
    for at in range(7):
        await page.locator("[name=run]").nth(at).check()
    await expect(page.locator("#compare_hint")).to_have_text("7 runs chosen: at most 6 can be compared.")
    await expect(page.get_by_role("button", name="Compare")).to_be_disabled()


async def test_without_scripts_the_server_is_asked_to_compare(eye: Eye, ids: list[str]) -> None:
    page = await eye.look("/runs", scripts=False)
    await page.route("**/compare?*", lambda route: route.fulfill(body="compared"))
    for at in (0, 3):
        await page.locator("[name=run]").nth(at).check()
    await page.get_by_role("button", name="Compare").click()
    assert parse_qs(urlsplit(page.url).query) == {"run": [ids[3], ids[0]]}


async def test_pages_are_turned_with_what_was_asked_for(eye: Eye, ids: list[str]) -> None:
    page = await eye.look("/runs?per_page=1&file=march")
    assert await shown(page) == ["march-2.csv"]
    await page.get_by_role("link", name="Next").click()
    await page.wait_for_url("**/runs?page=2&file=march&per_page=1")
    assert await shown(page) == ["March.csv"]
    await expect(page.locator("nav.pages")).to_contain_text("2 runs found, page 2 of 2")
    await page.get_by_label("Promise").select_option("kept")
    await page.get_by_role("button", name="Apply").click()
    assert "per_page=1" in page.url and "page=2" not in page.url


@IN_EACH_LOOK
async def test_the_history_is_sound_everywhere(eye: Eye, ids: list[str], size: tuple[int, int], dark: bool) -> None:
    for path in ("/", "/runs", "/runs?file=%3Cb%3E", "/runs?page=9"):
        page = await eye.look(path, size=size, dark=dark)
        assert (await findings(page), await overflows(page)) == ([], False), path
        assert await shifted(page) < 0.01, path  # though times are put into the reader's zone
