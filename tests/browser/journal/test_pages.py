"""The journal in a real Chromium: filtered, followed while events come, sound for everybody."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows, tab_to
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = "<script>alert(1)</script>"


async def post(server: ServerUnderTest, *events: dict[str, object]) -> None:
    answer = await server.ask("POST", "/journal", json=[*events])
    assert answer.status == 201, answer.text


async def test_events_are_filtered_by_the_form(eye: Eye, server: ServerUnderTest) -> None:
    await post(
        server,
        {"topic": "run.ended", "data": {"verdict": "kept"}, "subject": "one"},
        {"topic": "run.started", "data": 1, "subject": "two"},
        {"topic": "deploy", "data": EVIL, "subject": "one"},
    )
    page = await eye.look("/journal")
    await expect(page.locator(".events tbody .topic")).to_have_text(["deploy", "run.started", "run.ended"])
    await page.get_by_label("Topic").fill("run.*")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".events tbody .topic")).to_have_text(["run.started", "run.ended"])
    await page.get_by_label("Subject").fill("one")
    await page.keyboard.press("Enter")
    await expect(page.locator(".events tbody .topic")).to_have_text(["run.ended"])
    await expect(page.get_by_label("Topic")).to_have_value("run.*")
    await page.locator(".events tbody a").click()
    await page.wait_for_url("**/journal/1")
    await expect(page.locator("pre.body")).to_have_text('{\n  "verdict": "kept"\n}')


async def test_new_events_are_shown_while_the_page_follows(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look("/journal?topic=run.%23")
    await expect(page.locator(".empty")).to_contain_text("No events match")
    await tab_to(page, "#live")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Follow live")).to_have_attribute("aria-pressed", "true")
    await post(server, {"topic": "deploy", "data": 1}, {"topic": "run.ended", "data": {"a": EVIL}, "subject": EVIL})
    await expect(page.locator(".events tbody .topic")).to_have_text(["run.ended"])
    await expect(page.locator(".events tbody .excerpt")).to_have_text('{"a":"' + EVIL + '"}')
    await expect(page.locator("#live_told")).to_have_text("1 new event.")
    await expect(page.locator(".empty")).to_have_count(0)
    assert await findings(page) == [] and not await overflows(page)
    await post(server, *({"topic": "run.started", "data": n} for n in range(3)))
    await expect(page.locator(".events tbody .excerpt")).to_have_text(["2", "1", "0", '{"a":"' + EVIL + '"}'])
    await page.get_by_role("button", name="Follow live").click()
    await post(server, {"topic": "run.started", "data": 4})
    await page.wait_for_timeout(3000)
    await expect(page.locator(".events tbody tr")).to_have_count(4)


async def test_a_server_that_is_away_is_told_and_what_came_meanwhile_is_shown(
    eye: Eye, server: ServerUnderTest
) -> None:
    page = await eye.look("/journal")
    gone = True

    async def answer(route: Route) -> None:
        await (route.abort() if gone else route.continue_())

    await page.route("**/journal?*", answer)
    await page.get_by_role("button", name="Follow live").click()
    await expect(page.locator("#live_told")).to_have_text("The server does not answer: trying again.")
    await post(server, {"topic": "run.ended", "data": 1})
    gone = False
    await expect(page.locator(".events tbody .topic")).to_have_text(["run.ended"])
    await expect(page.locator("#live_told")).to_have_text("1 new event.")
    eye.complaints.clear()  # Chromium notes the requests that failed


async def test_a_page_has_so_many_rows_and_no_more_and_rests_while_nobody_sees_it(
    eye: Eye, server: ServerUnderTest
) -> None:
    await post(server, *({"topic": "a", "data": n} for n in range(100)))
    page = await eye.look("/journal")
    await page.evaluate("""() => {
        Object.defineProperty(document, "hidden", {get: () => window.unseen ?? false});
    }""")
    await page.get_by_role("button", name="Follow live").click()
    await post(server, *({"topic": "b", "data": n} for n in range(900)))
    await expect(page.locator(".events tbody tr")).to_have_count(500)
    await expect(page.locator(".events tbody .number").first).to_have_text("1000")
    await page.evaluate('() => { window.unseen = true; document.dispatchEvent(new Event("visibilitychange")); }')
    await page.wait_for_timeout(1000)
    asked = len(eye.requests)
    await page.wait_for_timeout(4000)
    assert len(eye.requests) == asked
    await post(server, {"topic": "c", "data": 1})
    await page.evaluate('() => { window.unseen = false; document.dispatchEvent(new Event("visibilitychange")); }')
    await expect(page.locator(".events tbody .topic").first).to_have_text("c")


async def test_without_scripts_the_page_works(eye: Eye, server: ServerUnderTest) -> None:
    await post(server, *({"topic": "a", "data": n} for n in range(3)))
    page = await eye.look("/journal?limit=2", scripts=False)
    await expect(page.locator("#live")).to_be_hidden()
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator(".events tbody .excerpt")).to_have_text(["0"])
    await page.get_by_role("link", name="Newer").click()
    await expect(page.locator(".events tbody .excerpt")).to_have_text(["2", "1"])


@IN_EACH_LOOK
async def test_the_journal_is_sound_for_everybody(
    eye: Eye, server: ServerUnderTest, size: tuple[int, int], dark: bool
) -> None:
    empty = await eye.look("/journal", size=size, dark=dark)
    await expect(empty.locator(".empty")).to_contain_text("No events yet.")
    assert await findings(empty) == [] and not await overflows(empty)
    long = "x" * 200
    await post(
        server,
        {"topic": f"{long}.a", "data": {long: [long] * 10}, "subject": long, "id": long},
        *({"topic": "run.ended", "data": {"n": n}} for n in range(4)),
    )
    for path in ("/journal", "/journal?limit=2&before=4", "/journal?topic=none", "/journal/1", "/journal/2"):
        page = await eye.look(path, size=size, dark=dark)
        assert await findings(page) == [], path
        assert not await overflows(page), path
