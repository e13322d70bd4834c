"""Statistics in a real Chromium: found, filtered, drawn, paged, sound for everybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from playwright.async_api import expect

from promise_pub.features.stats.intervals import start_of
from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows, tab_to
from tests.stats.tables import DAY, HOUR, a_layout, add_cells, add_counts, add_statistic, key
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = "<script>alert(1)</script>"
TODAY, HOUR_NOW = (start_of(datetime.now(UTC), width) for width in (86_400, 3_600))


async def fill(pool: asyncpg.Pool) -> int:
    """Runs of forty days, latencies of two, and a statistic in trouble."""
    runs = await add_statistic(pool, a_layout(columns=("state", "verdict", "mode")), position=10)
    counts = [
        (TODAY - n * DAY, key("completed", verdict, "live"), n + size)
        for n in range(40)
        for size, verdict in enumerate(("kept", "broken", "unknown"), 1)
    ]
    await add_counts(pool, runs, 86_400, counts)
    hours = [
        (HOUR_NOW - n * HOUR, key(f"{EVIL} {k}" + "x" * 100, "kept", "batch"), n + k)
        for n in range(48)
        for k in range(12)
    ]
    await add_counts(pool, runs, 3_600, hours)
    layout = a_layout("confirm-latency", kind="measuring", columns=("mode",), intervals=(3_600,), unit="ms")
    measured = await add_statistic(pool, layout, position=10)
    cells = [(HOUR_NOW - n * HOUR, "live", b, 5, 9_000, 2_500) for n in range(48) if n != 7 for b in range(200, 260, 3)]
    await add_cells(pool, measured, 3_600, cells)
    stuck = await add_statistic(
        pool, a_layout("by-branch", given={"a": [EVIL]}), state="set_aside", trouble=EVIL, left_out=1, position=9
    )
    await pool.execute("INSERT INTO stats_left_out VALUES ($1, 7, $2)", stuck, f"KeyError: {EVIL}" + "x" * 200)
    await pool.execute("INSERT INTO stats_gaps VALUES ($1, 0, 5, 'swept')", stuck)
    return runs


async def test_a_statistic_is_found_filtered_and_paged(eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool) -> None:
    await fill(pool)
    page = await eye.look("/")
    await page.get_by_role("link", name="Statistics", exact=True).click()
    await page.get_by_role("link", name="runs", exact=True).click()
    await page.get_by_label("Interval").select_option("1d")
    await page.get_by_label("Only").fill("verdict:kept")
    await page.keyboard.press("Enter")
    await expect(page.locator(".counted tbody tr")).to_have_count(40)
    await expect(page.locator(".statistic .legend text")).to_have_text(["completed · kept · live"])
    await page.get_by_role("link", name="Show all").click()
    await page.get_by_label("Interval").select_option("1d")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".counted tbody tr")).to_have_count(50)
    seen = 50
    for _ in range(2):
        await page.get_by_role("link", name="Next").click()
        await expect(page.locator(".pages")).to_contain_text("page")
        seen += await page.locator(".counted tbody tr").count()
    assert seen == 120
    await expect(page.get_by_role("link", name="Next")).to_have_count(0)
    await expect(page.get_by_label("Interval")).to_have_value("1d")


async def test_a_chart_has_marks_and_a_table(eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool) -> None:
    await fill(pool)
    told = await server.ask("POST", "/journal", json=[{"topic": "deploy", "data": {"version": EVIL}}])
    assert told.status == 201, told.text
    until = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    page = await eye.look(f"/stats/confirm-latency?until={until}")
    await expect(page.locator(".statistic .curve")).to_have_count(3)
    await expect(page.locator(".statistic .mark")).to_have_count(1)
    await expect(page.locator("figcaption")).to_contain_text("Dashed lines are marks")
    await tab_to(page, "#chart_table summary")
    await page.keyboard.press("Enter")
    await expect(page.locator("#chart_table th")).to_have_text(["Start, UTC", "p50", "p95", "p99"])


async def test_a_chart_is_a_picture_of_its_own_in_both_themes(
    eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool
) -> None:
    await fill(pool)
    grounds = []
    for dark in (False, True):
        page = await eye.look("/stats/runs?interval=1d&format=svg", dark=dark)
        ground = page.locator(".ground")
        grounds.append(await ground.evaluate("(one) => getComputedStyle(one).fill"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(26, 32, 34)"]


async def test_the_first_page_draws_the_last_days(eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool) -> None:
    page = await eye.look("/")
    await expect(page.locator(".lately")).to_have_count(0)
    await fill(pool)
    page = await eye.look("/")
    await expect(page.locator(".lately .statistic .legend text")).to_have_text(["kept", "broken", "unknown"])
    await tab_to(page, "#lately_table summary", 120)
    await page.keyboard.press("Enter")
    await expect(page.locator("#lately_table tbody tr")).to_have_count(14)


@IN_EACH_LOOK
async def test_statistics_are_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, pool: asyncpg.Pool, size: tuple[int, int], dark: bool
) -> None:
    empty = await eye.look("/stats", size=size, dark=dark)
    await expect(empty.locator(".empty")).to_contain_text("No statistics yet.")
    assert await findings(empty) == [] and not await overflows(empty)
    await add_statistic(pool, a_layout("empty"))
    await fill(pool)
    for path in (
        "/",
        "/stats",
        "/stats/empty",
        "/stats/runs?interval=1d",
        "/stats/runs?interval=1h",
        "/stats/runs?interval=1d&page=99",
        "/stats/confirm-latency",
        "/stats/by-branch",
        "/stats/by-branch/layout",
    ):
        page = await eye.look(path, size=size, dark=dark)
        assert await findings(page) == [], path
        assert not await overflows(page), path
        for more in await page.locator("details summary").all():
            await more.click()
        assert await findings(page) == [], path
        assert not await overflows(page), path
