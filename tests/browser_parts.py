"""A real Chromium for the tests, and what every page it shows has to keep to."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    Page,
    Request,
    async_playwright,
    expect,
)
from yarl import URL

from promise_pub.errors import PartMissing

CHROMIUM_VARIABLE = "PROMISE_PUB_CHROMIUM"  # where Chromium is, if not on the PATH
PATIENCE = 40_000  # milliseconds after which a wait has failed; nothing here takes that long
expect.set_options(timeout=PATIENCE)
WIDE, PHONE = (1280, 900), (360, 740)
IN_EACH_LOOK = pytest.mark.parametrize(
    ("size", "dark"), [(WIDE, False), (PHONE, True)], ids=["wide-light", "phone-dark"]
)
"""A size decides what fits, a theme which colours meet: two of the four looks have all of either."""
_VIOLATIONS = {"resultTypes": ["violations"]}  # what passes is looked at, but not told at length
# The first two let root start it; the others keep it from asking the world for things.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser, closed with the block. Raises PartMissing where there is none."""
    found = os.environ.get(CHROMIUM_VARIABLE) or shutil.which("chromium")
    if not found:
        raise PartMissing("Chromium is missing: apt-get install --no-install-recommends chromium (as root)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Path(found), args=[*_ARGUMENTS], timeout=PATIENCE)
        try:
            yield browser
        finally:
            await browser.close()


class Eye:
    """Opens pages of one server and watches them: errors on the console, requests to other hosts."""

    def __init__(self, browser: Browser, url: URL) -> None:
        self.url = url
        self._browser = browser
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def look(
        self,
        path: str = "/",
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        scripts: bool = True,
        **more: Any,
    ) -> Page:
        """A page in a context of its own (no cookies of others). `more` is playwright's, for the context."""
        context = await self._browser.new_context(
            base_url=str(self.url),
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            **more,
        )
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        self.watch(page)
        await page.goto(path)
        return page

    def watch(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error in {page.url}: {error}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console of {message.page and message.page.url}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        asked = URL(request.url)
        if asked.scheme not in ("data", "blob") and asked.origin() != self.url.origin():
            self.complaints.append(f"a request to another host: {request.url}")


async def come_to_rest(page: Page) -> None:
    """Waits for what fades or moves to be done: half faded, nothing has the contrast it is given.

    What is moved again and again, as the bars of a run that goes, is not waited for beyond some seconds.
    """
    await page.evaluate("""async () => {
        const moment = () => new Promise((done) => setTimeout(done, 50));
        const passing = () => document.getAnimations().filter((one) =>
            one.playState === "running" && one.effect?.getComputedTiming().endTime !== Infinity);
        await moment();
        for (let left = 60; left && passing().length; left -= 1) await moment();
    }""")


async def findings(page: Page) -> list[str]:
    """What axe-core finds serious or critical on the page, once it has come to rest."""
    await come_to_rest(page)
    found = await Axe().run(page, options=_VIOLATIONS)
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def overflows(page: Page) -> bool:
    """Whether the page has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


async def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Presses Tab until an element has the focus, as somebody without a mouse does. Fails when it never gets it."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab does not lead to {selector}")


async def slow_down(page: Page, bytes_a_second: int) -> None:
    """The page's uploads go as if over a slow line."""
    line = await page.context.new_cdp_session(page)
    await line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_a_second,
        },
    )


def a_file(content: bytes, name: str = "people.csv") -> FilePayload:
    """A file as a browser is given one to choose."""
    return {"name": name, "mimeType": "text/csv", "buffer": content}


async def shifted(page: Page) -> float:
    """How far what was there already has moved since the page was opened: 0 is not at all."""
    moved = await page.evaluate("""() => new Promise((tell) => {
        let sum = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) sum += entry.value;
        }).observe({type: "layout-shift", buffered: true});
        setTimeout(() => tell(sum), 200);
    })""")
    return float(moved)
