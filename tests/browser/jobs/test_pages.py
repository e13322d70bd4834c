"""Jobs in a real Chromium: started, followed, cancelled and paused; sound for everybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import expect

from promise_pub.features.jobs.records import Reason, State
from tests.browser_parts import IN_EACH_LOOK, Eye, findings, overflows, tab_to
from tests.jobs.fake_desk import NOW, FakeDesk, a_job, a_run

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = "x" * 200


async def test_a_run_is_started_by_the_form_and_cancelled(eye: Eye, desk: FakeDesk) -> None:
    page = await eye.look("/jobs")
    await page.get_by_role("link", name="usage").click()
    await expect(page.get_by_text("It has not been run yet.")).to_be_visible()
    await page.get_by_label("start").fill("2026-01-01")
    await page.get_by_label("reset").check()
    await page.get_by_role("button", name="Run now").click()
    await page.wait_for_url("**/jobs/usage/runs/1")
    await expect(page.locator("dl.facts")).to_contain_text("start=2026-01-01 reset=yes")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".badge")).to_have_text("cancelled")
    assert (await desk.run(1)).state is State.CANCELLED


async def test_a_schedule_is_paused_and_resumed(eye: Eye, desk: FakeDesk) -> None:
    page = await eye.look("/jobs/usage")
    await page.get_by_role("button", name="Pause its schedule").click()
    await expect(page.get_by_text("It is paused: its due times are passed over.")).to_be_visible()
    await page.get_by_role("button", name="Resume its schedule").click()
    await expect(page.get_by_role("button", name="Pause its schedule")).to_be_visible()
    assert not desk.jobs["usage"].paused


@pytest.mark.parametrize(
    ("path", "scripts"), [("/jobs", True), ("/jobs/usage", True), ("/jobs/usage/runs/1", True), ("/jobs/usage", False)]
)
async def test_progress_is_shown_as_it_is_made(eye: Eye, desk: FakeDesk, path: str, scripts: bool) -> None:
    desk.put(a_run(1, state=State.RUNNING, done=1, total=3, message="2026-01-01"))
    page = await eye.look(path, scripts=scripts)
    await expect(page.locator("progress").first).to_have_attribute("value", "1")
    desk.put(replace(await desk.run(1), done=2, message="2026-01-02"))
    await expect(page.locator("progress").first).to_have_attribute("value", "2")
    await expect(page.get_by_text("2 of 3: 2026-01-02").first).to_be_visible()
    desk.put(replace(await desk.run(1), done=3, state=State.COMPLETED, ended_at=NOW))
    await expect(page.get_by_text("completed").first).to_be_visible()
    await expect(page.locator("[data-going]")).to_have_count(0)


async def test_a_page_rests_once_nothing_goes_on(eye: Eye, desk: FakeDesk) -> None:
    desk.put(a_run(1, state=State.RUNNING))
    page = await eye.look("/jobs/usage/runs/1")
    desk.put(a_run(1, state=State.COMPLETED))
    await expect(page.locator(".badge")).to_have_text("completed")
    asked = len(eye.requests)
    await page.wait_for_timeout(4000)
    assert len(eye.requests) == asked


async def test_whoever_is_about_to_cancel_keeps_the_focus(eye: Eye, desk: FakeDesk) -> None:
    desk.put(a_run(1, state=State.RUNNING, done=1, total=3))
    page = await eye.look("/jobs/usage/runs/1")
    await tab_to(page, "#cancel")
    desk.put(replace(await desk.run(1), done=2))
    await expect(page.locator("progress")).to_have_attribute("value", "2")
    await expect(page.locator("#cancel")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".badge")).to_have_text("being cancelled")


async def test_older_runs_are_a_link_away(eye: Eye, desk: FakeDesk) -> None:
    desk.put(*(a_run(n, state=State.COMPLETED) for n in range(1, 6)))
    page = await eye.look("/jobs/usage?limit=3", scripts=False)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator("#newest tbody tr")).to_have_count(2)
    await page.get_by_role("link", name="Newest").click()
    await expect(page.locator("#newest tbody tr")).to_have_count(3)


@IN_EACH_LOOK
async def test_pages_of_jobs_are_sound_for_everybody(
    eye: Eye, desk: FakeDesk, size: tuple[int, int], dark: bool
) -> None:
    desk.jobs = {}
    empty = await eye.look("/jobs", size=size, dark=dark)
    assert await findings(empty) == [] and not await overflows(empty)
    desk.jobs = {
        "absent": a_job("absent", seen_at=NOW - timedelta(days=1), schedule=None),
        "late": a_job("late", last_due=NOW - timedelta(days=2), title=f"Does {LONG}."),
        "paused": a_job("paused", paused=True),
        "usage": a_job(),
    }
    desk.kept["usage"] = {"next": "2026-11-26", LONG: LONG}
    more = {"arguments": {"start": LONG, LONG: "1"}, "message": LONG, "asked_by": LONG}
    desk.put(
        a_run(1, state=State.COMPLETED, reason=Reason.SCHEDULE, due=NOW, missed=1001, done=3, total=3),
        a_run(2, state=State.FAILED, error_code="database_failed", error_message=LONG, **more),
        a_run(3, state=State.CANCELLED),
        a_run(4, state=State.INTERRUPTED, reason=Reason.RESUMED, after=3, attempt=2),
        a_run(5, state=State.RUNNING, done=1, total=3, **more),
        a_run(6, not_before=NOW + timedelta(minutes=5), **more),
        a_run(7, "late", State.RUNNING, progressed_at=NOW - timedelta(hours=1), done=12345),
    )
    for path in (
        *("/jobs", "/jobs/usage", "/jobs/usage?limit=2&before=4", "/jobs/absent", "/jobs/paused"),
        *("/jobs/usage/runs/2", "/jobs/usage/runs/5"),
    ):
        page = await eye.look(path, size=size, dark=dark)
        assert await findings(page) == [], path
        assert not await overflows(page), path
