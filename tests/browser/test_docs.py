"""The page of the API in a real browser: Swagger UI within our bounds, and a list where no scripts run."""

from __future__ import annotations

import pytest

from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")


@IN_EACH_LOOK
async def test_the_api_is_shown_soundly(eye: Eye, size: tuple[int, int], dark: bool) -> None:
    page = await eye.look("/docs", size=size, dark=dark)
    await page.locator(".opblock-summary", has_text="/simulate/").first.wait_for()
    assert await page.locator("#api_list").is_hidden()
    assert await findings(page) == []
    assert not await overflows(page)
    for request in ("simulate", "listRuns", "showRun"):  # with all that it tells
        await page.locator(f"[id$=-{request}] .opblock-summary-control").click()
        await page.locator(f"[id$=-{request}] .opblock-body").wait_for()
    assert await findings(page) == []
    assert not await overflows(page)


@IN_EACH_LOOK
async def test_without_scripts_the_api_is_a_list(eye: Eye, size: tuple[int, int], dark: bool) -> None:
    page = await eye.look("/docs", size=size, dark=dark, scripts=False)
    told = await page.locator("#api_list").inner_text()
    for words in ("POST /simulate/", "From 0 to 3,600.", "no_usable_row", "GET /runs/{id}/rejects"):
        assert words in told
    assert not await overflows(page)


async def test_a_request_can_be_tried_on_the_page(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look("/docs")
    request = page.locator("[id$=-alive]")
    await request.locator(".opblock-summary-control").click()
    await request.get_by_role("button", name="Try it out").click()
    await request.get_by_role("button", name="Execute").click()
    await request.locator(".live-responses-table", has_text='"alive": true').wait_for()
    assert await findings(page) == []
    request = page.locator("[id$=-showRun]")
    await request.locator(".opblock-summary-control").click()
    await request.get_by_role("button", name="Try it out").click()
    await request.get_by_placeholder("id").fill("00000000-0000-0000-0000-000000000000")
    await request.get_by_role("button", name="Execute").click()
    await request.locator(".live-responses-table", has_text="run_not_found").wait_for()
    eye.complaints.clear()  # Chromium notes the 404 that was asked for
    assert await findings(page) == []
