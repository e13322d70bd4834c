"""The report of a run on paper: one page, from the run's page and from a file that no server serves any more."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page

from tests.browser_parts import _ARGUMENTS, CHROMIUM_VARIABLE, Eye, findings, overflows
from tests.web_parts import ServerUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK = "?timeout=0&mode=batch"
REPEATED = b"".join(b"Name %d,%d@example.com\n" % (n, n % 7) for n in range(40)) + b"no comma\n" * 30
A4 = (595, 842)  # points


async def made(server: ServerUnderTest, content: bytes = REPEATED, name: str = "data.csv", query: str = QUICK) -> Any:
    headers = {"Accept": "application/json", "Content-Type": "text/csv"}
    reply = await server.ask("POST", f"/simulate/{query}&filename={quote(name)}", data=content, headers=headers)
    return reply.json


def pages_of(pdf: bytes) -> list[tuple[int, int]]:
    """The size of each page, in points."""
    boxes = re.findall(rb"/Type\s*/Page\b.*?/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf, re.DOTALL)
    assert len(boxes) == len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
    return [(round(float(width)), round(float(height))) for width, height in boxes]


async def printed(page: Page) -> bytes:
    return await page.pdf(prefer_css_page_size=True, print_background=True)


async def text_on_paper(page: Page) -> str:
    await page.emulate_media(media="print")
    return await page.inner_text("body")


def check_text(text: str, run: Any, server: ServerUnderTest) -> None:
    address = str(server.url / "runs" / run["id"])
    for held in (address, run["file"]["sha256"], run["digest"], run["session"]["digest"], run["session"]["uuid"]):
        assert held in text, held
    assert (
        "The promise is kept, but 30 records were rejected." in text
        and "Rows that need you: the first 10 of 30" in text
    )
    assert "41" in text and "no comma" in text, "the first record that is no row, with its line and content"


async def test_a_runs_page_is_printed_as_its_report(eye: Eye, server: ServerUnderTest) -> None:
    run = await made(server)
    page = await eye.look(f"/runs/{run['id']}")
    assert await page.locator(".report").is_hidden()
    assert pages_of(await printed(page)) == [A4]
    text = await text_on_paper(page)
    check_text(text, run, server)
    assert "Run again" not in text and "Log out" not in text and "From a shell" not in text


async def test_the_file_needs_no_server(eye: Eye, browser: Browser, server: ServerUnderTest, tmp_path: Path) -> None:
    run = await made(server)
    page = await eye.look(f"/runs/{run['id']}/report.html")
    check_text(await page.inner_text("body"), run, server)
    assert await findings(page) == [] and not await overflows(page)
    background = "getComputedStyle(document.querySelector('.report')).backgroundColor"
    assert await page.evaluate(background) == "rgb(255, 255, 255)", "its policy lets its style through"
    reply = await server.get(f"/runs/{run['id']}/report.html")
    assert reply.headers["Content-Disposition"] == f'inline; filename="report-{run["id"]}.html"'
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", reply.text)
    saved = tmp_path / "report.html"
    saved.write_text(reply.text, encoding="utf-8")
    context = await browser.new_context(offline=True)
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: said.append(request.url))
    await page.goto(saved.as_uri())
    check_text(await page.inner_text("body"), run, server)
    assert await page.evaluate(background) == "rgb(255, 255, 255)"
    assert said == [saved.as_uri()], "nothing is loaded, and nothing is refused"
    assert pages_of(await printed(page)) == [A4]


async def test_chromium_prints_the_saved_file_by_itself(
    server: ServerUnderTest, only_browser: Browser, tmp_path: Path
) -> None:
    run = await made(server)
    saved, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    saved.write_text((await server.get(f"/runs/{run['id']}/report.html")).text, encoding="utf-8")
    chromium = os.environ.get(CHROMIUM_VARIABLE) or shutil.which("chromium")
    assert chromium
    process = await asyncio.create_subprocess_exec(
        chromium,
        *("--headless", *_ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"),
        *(f"--print-to-pdf={pdf}", saved.as_uri()),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    assert pages_of(pdf.read_bytes()) == [A4]
    title = "kept, some rejected – data.csv – promise-pub".encode("utf-16-be").hex().upper()
    assert title.encode() in pdf.read_bytes()


LONG = "x" * 90


async def test_whatever_is_long_it_stays_one_page(eye: Eye, server: ServerUnderTest) -> None:
    columns = ",".join(f"{n:02}{LONG}" for n in range(50))
    rows = b"".join(b",".join(b"%d" % n for _ in range(50)) + b"\n" for n in range(50))
    name = "<script>alert(1)</script> " + "long name " * 30 + ".csv"
    gate = "&".join(f"fail_if=saved < {n} or {' or '.join(['p99 > 50ms'] * 9)}" for n in range(4))
    more = f"&clear=true&profile={'100:0.5,' * 20}1000:1&columns={columns}&{gate}"
    run = await made(server, rows + b"y" * 5000 + b"\n" + b"z,\n" * 500, name, QUICK + more)
    assert run["rows"]["rejected"] == 501 and run["state"] == "completed"
    for path in (f"/runs/{run['id']}", f"/runs/{run['id']}/report.html"):
        page = await eye.look(path)
        assert pages_of(await printed(page)) == [A4], path
        assert "<script>alert(1)</script>" in await text_on_paper(page)


async def test_in_a_dark_browser_the_paper_is_white(eye: Eye, server: ServerUnderTest) -> None:
    run = await made(server, b"Ann,ann@x\n")
    page = await eye.look(f"/runs/{run['id']}", dark=True)
    await page.emulate_media(media="print", color_scheme="dark")
    ground, ink = await page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector(".report td")).color]"""
    )
    assert (ground, ink) == ("rgb(255, 255, 255)", "rgb(27, 33, 31)")
