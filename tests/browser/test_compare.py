"""Runs side by side in a real browser: chosen, compared, sound for everybody."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows
from tests.web_parts import ServerUnderTest, people

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def sent(server: ServerUnderTest, count: int) -> list[str]:
    """So many runs, each with other settings."""
    queries = [f"?timeout=0&mode=batch&rate={rate}" for rate in (0, 400, 800, 0, 0, 0)[:count]]
    return [(await server.send(people(200, 5 * n), q)).json["id"] for n, q in enumerate(queries)]


async def test_runs_are_chosen_by_keyboard_and_compared(eye: Eye, server: ServerUnderTest) -> None:
    first, second = await sent(server, 2)
    page = await eye.look("/compare")
    boxes = page.get_by_role("checkbox")
    await boxes.first.focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("2 runs side by side")
    assert first in page.url and second in page.url
    rate = page.get_by_role("row", name="differs rate")
    assert await rate.get_by_role("cell").all_inner_texts() == ["400", "0"]
    assert await page.get_by_role("row", name="mode").get_by_label("differs").count() == 0


async def test_only_differences_are_shown_on_wish_without_scripts_too(eye: Eye, server: ServerUnderTest) -> None:
    ids = await sent(server, 2)
    page = await eye.look(f"/compare?run={ids[0]}&run={ids[1]}", scripts=False)
    same = page.get_by_role("row", name="mode")
    await expect(same).to_be_visible()
    await page.get_by_label("Only where they differ").check()
    await expect(same).to_be_hidden()
    await expect(page.get_by_role("row", name="differs rate")).to_be_visible()


@IN_EACH_LOOK
async def test_six_runs_are_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, size: tuple[int, int], dark: bool
) -> None:
    ids = await sent(server, 6)
    page = await eye.look("/compare?" + "&".join(f"run={one}" for one in ids), size=size, dark=dark)
    assert await page.locator(".compared li").count() == 6
    dashes = (
        await page.locator(".curves .chart")
        .first.locator("path.line")
        .evaluate_all("(lines) => lines.map((line) => getComputedStyle(line).strokeDasharray)")
    )
    assert len(set(dashes)) == len(set(dashes)) >= 2, "lines are told apart by more than colour"
    assert await findings(page) == []
    assert not await overflows(page)


async def test_one_run_alone_is_kept_in_the_choice(eye: Eye, server: ServerUnderTest) -> None:
    first, _ = await sent(server, 2)
    page = await eye.look(f"/compare?run={first}")
    await expect(page.get_by_role("alert")).to_contain_text("Choose at least one more")
    assert await page.locator(f"input[value='{first}']").is_checked()
    eye.complaints.clear()  # Chromium notes the 400 that was asked for
