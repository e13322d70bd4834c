"""A run's page in a real browser: live, in place, by mouse and by keyboard, and without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser_parts import IN_EACH_LOOK, PHONE, WIDE, Eye, findings, overflows
from tests.web_parts import ServerUnderTest, people, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}
SLOW = "?mode=live&timeout=1&rate=300"
HOSTILE = "<script>alert(1)</script> \"twice\" 'once' \N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}.csv"


async def begun(server: ServerUnderTest, rows: int = 1500, query: str = SLOW) -> str:
    """The address of a run that publishes."""
    answer = await server.ask("POST", f"/simulate/{query}", data=people(rows), headers=ASYNC)
    path = str(answer.headers["Location"])

    async def publishes() -> bool:
        return bool((await server.get(path, headers=JSON)).json["rows"]["confirmed"] > 50)

    await until(publishes)
    return path


async def ended(server: ServerUnderTest, path: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        run = (await server.get(path, headers=JSON)).json
        return dict(run) if run["finished_at"] else None

    return dict(await until(look))


async def confirmed(page: Page) -> int:
    text = await page.locator(".gauges li", has_text="Confirmed").locator(".count").inner_text()
    return int(text.replace(",", ""))


async def test_progress_moves_in_place_and_ends_with_the_verdict(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look(await begun(server, 1800))
    await page.evaluate("window.stillHere = true")
    seen = [await confirmed(page)]
    titles = {await page.title()}
    for _ in range(3):
        await expect(page.locator(".gauges .count").nth(2)).not_to_have_text(f"{seen[-1]:,}")
        seen.append(await confirmed(page))
        titles.add(await page.title())
    assert seen == sorted(set(seen)) and seen[-1] <= 1800
    assert any("% sent" in title for title in titles), titles
    await expect(page.get_by_role("status").first).to_have_text("The promise is kept.")
    await expect(page.get_by_role("button", name="Run again")).to_be_visible()
    assert await confirmed(page) == 1800 and (await page.title()).startswith("kept")
    assert await page.locator("#run[data-going]").count() == 0
    assert await page.locator("#curves svg.lines path.line").count() >= 3
    assert await page.evaluate("window.stillHere"), "the page was not loaded anew"


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_nothing_jumps_while_it_goes(eye: Eye, server: ServerUnderTest, size: tuple[int, int]) -> None:
    path = await begun(server, 900)
    page = await eye.look("/runs", size=size)
    await page.add_init_script(
        """window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    await page.goto(path)
    await expect(page.get_by_role("status").first).to_have_text("The promise is kept.")
    assert await page.evaluate("window.shifted") < 0.1


async def test_the_status_is_announced_when_it_changes_and_not_with_every_number(
    eye: Eye, server: ServerUnderTest
) -> None:
    page = await eye.look(await begun(server, 900))
    await page.evaluate(
        """() => {
          window.announced = [];
          const status = document.querySelector("[role=status]");
          new MutationObserver(() => window.announced.push(status.textContent))
            .observe(status, { characterData: true, childList: true, subtree: true });
        }"""
    )
    await expect(page.get_by_role("status").first).to_have_text("The promise is kept.")
    announced = await page.evaluate("window.announced")
    assert announced[-1] == "The promise is kept." and len(announced) == len(set(announced)) <= 3


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
async def test_a_run_is_cancelled_and_resumed(eye: Eye, server: ServerUnderTest, way: str) -> None:
    page = await eye.look(path := await begun(server, 3000))
    await press(page, "Cancel", way)
    status = page.get_by_role("status").first
    await expect(status).to_have_text("The run was cancelled.")
    assert page.url.endswith(path), "a reload would not ask again"
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    await press(page, "Resume", way)
    await expect(status).to_have_text("The promise is kept.")
    assert page.url.endswith(path)
    assert (await ended(server, path))["rows"]["confirmed"] == 3000


async def press(page: Page, name: str, way: str) -> None:
    button = page.get_by_role("button", name=name)
    await expect(button).to_be_visible()
    if way == "mouse":
        await button.click()
        return
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await button.evaluate("(button) => button === document.activeElement"):
            break
    outline = await button.evaluate("(button) => getComputedStyle(button).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    await page.keyboard.press("Enter")


async def test_a_run_is_made_again(eye: Eye, server: ServerUnderTest) -> None:
    first = (await server.send(people(30), "?mode=batch&timeout=0")).json
    page = await eye.look(f"/runs/{first['id']}")
    await page.get_by_role("button", name="Run again").click()
    await expect(page.get_by_role("status").first).to_have_text("The promise is kept, but nothing new was saved.")
    await expect(page.locator("#outcome")).to_have_class("outcome attention")
    await expect(page.locator(".notes")).to_have_text(re.compile("Empty the table first to test saving"))
    second = page.url.rpartition("/")[2]
    assert second != first["id"]
    again = await ended(server, f"/runs/{second}")
    assert (again["file"], again["mode"], again["timeout"]) == (first["file"], "batch", 0)


async def test_who_has_the_focus_keeps_it_or_has_it_on_the_outcome(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look(await begun(server, 600))
    await page.get_by_text("Rate as a table").focus()
    await page.keyboard.press("Enter")
    await page.evaluate("window.scrollTo(0, 200)")
    await expect(page.get_by_role("status").first).to_have_text("The promise is kept.")
    assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert await page.locator("#table-rate[open]").count() == 1
    assert await page.evaluate("window.scrollY") > 100


async def test_without_scripts_the_page_loads_itself_anew(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look(await begun(server, 3000), scripts=False)
    seen = await confirmed(page)
    await expect(page.locator(".gauges .count").nth(2)).not_to_have_text(f"{seen:,}")
    assert await confirmed(page) > seen
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("The run was cancelled.").first).to_be_visible()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_text("The promise is kept.").first).to_be_visible()


async def test_a_lost_stream_is_told_and_found_again(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look("/runs")
    await page.route("**/stream*", lambda route: route.abort())
    await page.goto(await begun(server, 9000))
    lost = page.locator(".unheard")
    await expect(lost).to_contain_text("The connection to the server is lost")
    await page.unroute("**/stream*")
    await expect(lost).to_have_text("")
    seen = await confirmed(page)
    await expect(page.locator(".gauges .count").nth(2)).not_to_have_text(f"{seen:,}")
    eye.complaints.clear()  # of the stream that was kept from it


async def test_a_stream_that_is_refused_is_asked_for_again(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look("/runs")
    await page.route("**/stream*", lambda route: route.fulfill(status=503))
    await page.goto(await begun(server, 9000))
    await expect(page.locator(".unheard")).to_contain_text("lost")
    await page.unroute("**/stream*")
    await expect(page.locator(".unheard")).to_have_text("")
    eye.complaints.clear()  # of the stream that was refused


async def test_a_waiting_run_tells_its_place_and_moves_up(eye: Eye, server: ServerUnderTest) -> None:
    going = await begun(server, 9000)
    answer = await server.ask("POST", "/simulate/?mode=batch&timeout=0", data=people(3), headers=ASYNC)
    page = await eye.look(answer.headers["Location"])
    status = page.get_by_role("status").first
    await expect(status).to_contain_text("number 1 in the queue")
    assert (await page.title()).startswith("waiting, number 1")
    await server.ask("POST", f"{going}/cancel", headers=JSON)
    await expect(status).to_contain_text("The promise is kept")


async def test_hostile_names_and_rows_are_shown_and_not_run(eye: Eye, server: ServerUnderTest) -> None:
    content = b"Ann,a@x\n<script>alert(2)</script>\n=cmd()|' /C calc'!A0,b,c\n"
    run = (await server.send(content, "?mode=batch&timeout=0", name=HOSTILE)).json
    assert run["file"]["name"] == HOSTILE
    page = await eye.look(f"/runs/{run['id']}")
    page.on("dialog", lambda dialog: eye.complaints.append(f"a dialog: {dialog.message}"))
    assert await page.locator("h1").inner_text() == HOSTILE
    assert await page.locator("main script, main b").count() == 0
    assert HOSTILE in await page.title()
    assert "<script>alert(2)</script>" in await page.locator("main").inner_text()
    assert await page.locator("#command").inner_text()
    assert await page.locator("h1 bdi").count() == 1


async def test_times_are_in_the_readers_zone_with_the_exact_one_on_hover(eye: Eye, server: ServerUnderTest) -> None:
    run = (await server.send(people(3), "?mode=batch&timeout=0")).json
    page = await eye.look(f"/runs/{run['id']}", timezone_id="Asia/Kathmandu", locale="en-GB")
    time = page.locator("time").first
    exact = run["created_at"]
    assert await time.get_attribute("datetime") == exact
    assert await time.get_attribute("title") == exact.replace("T", " ").replace("Z", " UTC")
    shown = await page.evaluate(
        """(exact) => new Intl.DateTimeFormat("en-GB",
          { dateStyle: "medium", timeStyle: "medium", timeZone: "Asia/Kathmandu" }).format(new Date(exact))""",
        exact,
    )
    assert await time.inner_text() == shown


@IN_EACH_LOOK
async def test_the_page_is_sound_while_it_goes_and_when_it_was_cancelled(
    eye: Eye, server: ServerUnderTest, size: tuple[int, int], dark: bool
) -> None:
    page = await eye.look(await begun(server, 9000), size=size, dark=dark)
    assert await findings(page) == []
    assert not await overflows(page)
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    await page.get_by_text("Rate as a table").click()
    assert await findings(page) == []
    assert not await overflows(page)


async def test_who_wants_less_motion_has_it(eye: Eye, server: ServerUnderTest) -> None:
    path = await begun(server, 9000)
    for wish, animation in (("no-preference", "turn"), ("reduce", "none")):
        page = await eye.look(path, reduced_motion=wish)
        turning = page.locator(".sign .turning")
        assert await turning.evaluate("(it) => getComputedStyle(it).animationName") == animation


async def test_the_command_is_copied(eye: Eye, server: ServerUnderTest) -> None:
    run = (await server.send(people(3), "?mode=batch&timeout=0")).json
    page = await eye.look(f"/runs/{run['id']}", permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.locator("#command").inner_text() and copied.startswith("curl ")
