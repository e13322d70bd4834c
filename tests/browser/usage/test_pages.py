"""Usage in a real Chromium: asked for, drawn, readable in both themes, without scripts, sound for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import expect

from promise_pub import db
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.settings.model import DatabaseSettings
from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows
from tests.usage.site import Site
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOW = datetime.now(UTC)
LONG_NAME = "somebody.with-a-very-long-name." * 3


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: DatabaseSettings) -> AsyncIterator[asyncpg.Pool]:
    async with db.open_pool(database, max_size=2) as pool:
        yield pool


async def fill(pool: asyncpg.Pool) -> None:
    """Logins of a hundred days, of up to eight users a day, condensed up to now."""
    site = Site(pool, StoredJournal(pool), UsageSettings(), NOW)
    days = [NOW - timedelta(days=n) for n in range(1, 100)]
    await site.log_in(*((f"user-{n}", day) for place, day in enumerate(days) for n in range(place % 9)))
    await site.log_in((LONG_NAME, NOW - timedelta(days=1)), ("admin", NOW - timedelta(days=1)))
    await site.condense()


async def test_without_scripts_users_are_found_by_day_and_by_name(
    eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool
) -> None:
    await fill(pool)
    page = await eye.look("/", scripts=False)
    await page.get_by_role("link", name="Usage", exact=True).click()
    await expect(page.locator(".figures dd")).to_have_text(["1", "7", "9"])
    await expect(page.locator(".lead")).to_contain_text("without admin")
    await expect(page.locator("svg.usage .windows rect")).to_have_count(await page.locator(".periods tbody tr").count())
    await page.get_by_label("Rolling days").fill("7")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("h2")).to_have_text("Users who logged in, 7 days up to each day")
    yesterday = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    await page.locator(".periods").get_by_role("link", name=yesterday).click()
    await expect(page.locator("h1")).to_have_text(yesterday)
    await expect(page.locator(".people tbody tr")).to_have_count(2)
    await expect(page.locator(".people")).to_contain_text("not counted")
    await page.get_by_role("link", name="token").click()
    await expect(page.locator(".empty")).to_contain_text("Nobody on this day.")


async def test_the_button_asks_for_a_run_of_the_job(eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool) -> None:
    page = await eye.look("/usage", scripts=False)
    await page.route("**/jobs/usage/run", lambda route: route.fulfill(body="asked", content_type="text/plain"))
    async with page.expect_request("**/jobs/usage/run") as asked:
        await page.get_by_role("button", name="Condense now").click()
    assert (await asked.value).method == "POST"


async def test_the_picture_is_readable_by_itself_and_dark_on_a_dark_page(
    eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool
) -> None:
    await fill(pool)
    fill_of = "(one) => getComputedStyle(one).fill"
    for dark in (False, True):
        alone = await eye.look("/usage/login/plot?format=svg", dark=dark)
        assert await alone.locator("svg > .ground").evaluate(fill_of) == "rgb(255, 255, 255)"
        assert await alone.locator(".bar").evaluate(fill_of) == "rgb(20, 96, 61)"
        page = await eye.look("/usage", dark=dark)
        ground = await page.locator("svg.usage > .ground").evaluate(fill_of)
        assert ground == ("rgb(26, 32, 34)" if dark else "rgb(255, 255, 255)")
        assert "hatched" in await page.locator("svg.usage path.cut").evaluate(fill_of)


@IN_EACH_LOOK
async def test_usage_is_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool, size: tuple[int, int], dark: bool
) -> None:
    empty = await eye.look("/usage", size=size, dark=dark)
    await expect(empty.locator(".empty")).to_contain_text("Nobody logs in here")
    assert await findings(empty) == [] and not await overflows(empty)
    await fill(pool)
    yesterday = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    for path in (
        "/usage",
        "/usage/login?aggregate=day&start=99d",
        "/usage/login?aggregate=year&action=run",
        "/usage/login/plot",
        "/usage/login/raw",
        f"/usage/days/{yesterday}",
    ):
        page = await eye.look(path, size=size, dark=dark)
        assert await findings(page) == [], path
        assert not await overflows(page), path
