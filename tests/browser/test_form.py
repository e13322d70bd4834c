"""The form in a real Chromium: dropped, chosen, previewed, asked about, sent, refused; by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from promise_pub.settings.model import DatabaseSettings
from tests import consumer_parts
from tests.browser_parts import IN_EACH_LOOK, PHONE, WIDE, Eye, a_file, findings, overflows, slow_down, tab_to
from tests.web_parts import ServerUnderTest, people, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"Accept": "application/json"}
MIXED = b"Ann,ann@example.com\nno comma here\nBob,bob@example.com\n"
# How many there are is told when the database counts them at once, which it may not on a busy machine.
DELETE = re.compile("Empty the employees table first")
RUN_PAGE = re.compile(r"/runs/[0-9a-f-]{36}$")
HOSTILE = [
    "<script>alert(1)</script>.csv",
    '" onload="alert(1).csv',
    "\u202egnp.exe.csv",
    "O'Brien & Söhne.csv",
]
SLOW = 1_000_000  # bytes a second


async def choose(page: Page, content: bytes = MIXED, name: str = "people.csv") -> None:
    await page.set_input_files("#input_file", a_file(content, name))


async def runs(server: ServerUnderTest) -> Any:
    return (await server.get("/runs", headers=JSON)).json


def sent(eye: Eye) -> list[str]:
    return [url for url in eye.requests if "/simulate/" in url]


async def test_a_file_is_chosen_previewed_and_sent(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look()
    await choose(page)
    await expect(page.locator("#preview_words")).to_have_text(
        "In the whole file: 2 rows would be published, 1 row would be rejected."
    )
    messages = page.get_by_role("region", name="Messages")
    await expect(messages.locator("tbody tr")).to_have_text(["1Annann@example.com", "2Bobbob@example.com"])
    rejected = page.get_by_role("region", name="Rejected rows")
    await expect(rejected.locator("tbody tr")).to_have_text(["2has 1 field, not 2no comma here"])
    await page.get_by_label("Batch").check()
    await page.get_by_label("Timeout").fill("0")
    await page.get_by_role("button", name="Send the file").click()
    await page.wait_for_url(RUN_PAGE)
    run = (await runs(server))[0]
    assert page.url.endswith(run["id"])
    assert (run["mode"], run["timeout"], run["file"]["name"]) == ("batch", 0, "people.csv")


async def test_everything_can_be_done_by_keyboard(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look()
    page.on("filechooser", lambda _: None)  # playwright catches them from here on, not only when one is expected
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await tab_to(page, "#input_file")
    async with page.expect_file_chooser() as choosing:
        await page.keyboard.press("Enter")
    await (await choosing.value).set_files(a_file(b"name;mail\nAnn;ann@example.com\n"))
    await expect(page.locator("#preview_words")).to_contain_text("0 rows would be published")
    await expect(page.locator("#more")).to_have_attribute("open", "")
    await tab_to(page, "[name=mode]")
    await page.keyboard.press("ArrowDown")
    await tab_to(page, "#delimiter")
    await page.keyboard.type("s")
    await expect(page.locator("#preview_words")).to_contain_text("2 rows would be published, none")
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator("#header")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.locator("#preview_words")).to_contain_text("1 row would be published, none")
    await tab_to(page, "#submit")
    await page.keyboard.press("Enter")
    await page.wait_for_url(RUN_PAGE)
    run = (await runs(server))[0]
    assert (run["mode"], run["header"], run["delimiter"]) == ("batch", True, ";")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
async def test_the_form_works_without_scripts(eye: Eye, server: ServerUnderTest, size: tuple[int, int]) -> None:
    page = await eye.look(scripts=False, size=size)
    await expect(page.locator("#sending small")).to_have_text("The page appears when the run has ended.")
    await choose(page)
    await page.get_by_label("Timeout").fill("0")
    await page.get_by_text("File and sending options", exact=True).click()
    await expect(page.locator("#clear_hint span")).to_contain_text("You are not asked again.")
    await page.get_by_label(DELETE).check()
    await page.get_by_role("button", name="Send the file").click()
    await expect(page.locator("h1")).to_contain_text("people.csv")
    run = (await runs(server))[0]
    assert (run["verdict"], run["clear"], run["columns"]) == ("kept", True, ["name", "mail"])


DROP = """([files, kind]) => {
    const carried = new DataTransfer();
    for (const [name, text] of files) carried.items.add(new File([text], name, {type: "text/csv"}));
    const event = new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true});
    return !document.querySelector("%s").dispatchEvent(event);
}"""


@pytest.mark.parametrize("place", ["#drop", "footer"])
async def test_a_file_is_dropped_anywhere(eye: Eye, place: str) -> None:
    page = await eye.look()
    files = [["dropped.csv", "Ann,ann@example.com\n"]]
    assert await page.evaluate(DROP % place, [files, "dragover"]), "else the browser opens the file"
    await expect(page.locator("#drop")).to_have_class("drop over")
    assert await page.evaluate(DROP % place, [files, "drop"])
    await expect(page.locator("#drop")).to_have_class("drop filled")
    await expect(page.locator("#preview_words")).to_contain_text("1 row would be published")
    await page.get_by_role("button", name="Send the file").click()
    await page.wait_for_url(RUN_PAGE)
    await expect(page.locator("h1")).to_contain_text("dropped.csv")


async def test_of_several_dropped_files_none_is_taken(eye: Eye) -> None:
    page = await eye.look()
    await page.evaluate(DROP % "#drop", [[["a.csv", "a,b\n"], ["b.csv", "a,b\n"]], "drop"])
    await expect(page.get_by_role("alert")).to_have_text("Drop one file at a time: none of these was taken.")
    assert await page.evaluate("document.getElementById('input_file').files.length") == 0


async def test_the_preview_follows_what_the_file_is_said_to_look_like(eye: Eye) -> None:
    page = await eye.look()
    await choose(page, b"first;last;age\nAnn;Lee;7\n")
    await expect(page.locator("#preview_words")).to_contain_text("0 rows would be published, 2 rows")
    await page.get_by_label("Delimiter").select_option(";")
    await page.get_by_label("Columns", exact=True).fill("a,b,c")
    head = page.get_by_role("region", name="Messages").locator("thead")
    await expect(head).to_have_text("Rowabc")
    await page.get_by_label("First line is a header").check()
    await expect(head).to_have_text("Rowfirstlastage")
    await expect(page.get_by_label("Columns", exact=True)).to_be_disabled()
    await expect(page.locator("#preview_words")).to_contain_text("1 row would be published, none")
    assert not sent(eye)


async def test_what_the_file_cannot_look_like_is_told_by_the_preview(eye: Eye) -> None:
    page = await eye.look()
    await choose(page)
    await page.get_by_text("File and sending options", exact=True).click()
    await page.get_by_label("Columns", exact=True).fill("a,a")
    words = page.locator("#preview_words")
    await expect(words).to_contain_text("columns must be")
    await choose(page, b"\xff\n")
    await page.get_by_label("First line is a header").check()
    await expect(words).to_contain_text("header in line 1")
    await expect(words).to_have_class("fault")
    assert await findings(page) == []
    eye.complaints.clear()  # Chromium notes the 400 and the 422


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, "", "This server has no preview. You can send the file anyway."),
        (503, json.dumps({"detail": "The server is stopping."}), "The server is stopping."),
        (502, "<h1>a proxy's page</h1>", "The answer was 502 Bad Gateway."),
    ],
)
async def test_the_form_does_without_a_preview(eye: Eye, status: int, body: str, words: str) -> None:
    page = await eye.look()
    await page.route("**/preview/**", lambda route: route.fulfill(status=status, body=body))
    await choose(page)
    await expect(page.locator("#preview_words")).to_have_text(words)
    eye.complaints.clear()  # Chromium notes the status
    await page.get_by_role("button", name="Send the file").click()
    await page.wait_for_url(RUN_PAGE)


async def test_cells_of_a_preview_are_text_and_no_longer_than_one_reads(eye: Eye) -> None:
    page = await eye.look()
    await choose(page, b"<b>x</b><script>alert(1)</script>," + b"y" * 5000 + b"\n<i>bad</i>\n")
    cells = page.get_by_role("region", name="Messages").locator("td")
    await expect(cells.nth(1)).to_have_text("<b>x</b><script>alert(1)</script>")
    await expect(cells.nth(2)).to_have_text("y" * 300 + " …")
    await expect(page.get_by_role("region", name="Rejected rows")).to_contain_text("<i>bad</i>")
    assert not await overflows(page)


async def test_an_upload_is_seen_and_can_be_cancelled(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look()
    await choose(page, people(200_000), "many.csv")
    await slow_down(page, SLOW)
    await page.get_by_label("Timeout").fill("7")
    await page.get_by_role("button", name="Send the file").click()
    bar = page.get_by_role("progressbar", name="Upload")
    words = page.locator("#upload_words")
    await expect(words).to_have_text(re.compile(r"[\d.]+ [KM]B of 5\.\d MB, [\d.]+ [KM]B a second, \d+ s left"))
    first = float(await bar.get_attribute("value") or 0)
    await expect(words).to_contain_text(re.compile(r"^[1-5]\.\d MB of"))
    assert 0 < first < float(await bar.get_attribute("value") or 0) < 1
    assert await findings(page) == []
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("alert")).to_have_text("Upload cancelled. No run was started.")
    await expect(page.get_by_role("button", name="Send the file")).to_be_focused()
    await expect(page.get_by_label("Timeout")).to_have_value("7")
    await expect(page.locator("#upload")).to_be_hidden()
    assert await runs(server) == []


async def test_deleting_asks_first_names_how_many_and_sends_nothing_when_it_is_not_wanted(
    eye: Eye, server: ServerUnderTest, database: DatabaseSettings
) -> None:
    await server.send(people(1234), "?timeout=0&mode=batch")
    page = await eye.look()

    async def says_how_many() -> bool:
        await page.reload()
        return "1,234 rows now" in (await page.locator("label", has=page.locator("#clear")).text_content() or "")

    await until(says_how_many)  # a busy machine may not count them in time for the page
    await choose(page)
    await page.get_by_text("File and sending options", exact=True).click()
    await page.get_by_label("Empty the employees table first (1,234 rows now)").check()
    await server.send(b"Zoe,zoe@example.com\n", "?timeout=0&mode=batch")  # the page is older than this
    dialog = page.get_by_role("dialog", name="Delete what employees holds?")
    for close in ("button", "Escape"):
        await page.get_by_role("button", name="Send the file").click()
        await expect(dialog).to_contain_text("It holds 1,235 rows now.")
        await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        assert await findings(page) == []
        if close == "button":
            await page.keyboard.press("Enter")
        else:
            await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_role("button", name="Send the file")).to_be_focused()
    assert not sent(eye) and len(await consumer_parts.employees(database)) == 1235
    await page.get_by_role("button", name="Send the file").click()
    await page.get_by_role("button", name="Delete 1,235 rows and send").click()
    await page.wait_for_url(RUN_PAGE)
    await expect(page.locator("main")).to_contain_text("The promise is kept")
    assert len(await consumer_parts.employees(database)) == 2


async def test_the_page_does_not_wait_for_who_holds_the_table_and_asks_again_when_it_deletes(
    eye: Eye, database: DatabaseSettings
) -> None:
    async with consumer_parts.database_connection(database) as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE employees IN ACCESS EXCLUSIVE MODE")
            page = await eye.look()
        await page.get_by_text("File and sending options", exact=True).click()
        await page.get_by_label("Empty the employees table first (number of rows unknown)").check()
        await expect(page.locator("#clear_hint")).to_contain_text("Cannot be undone.")
        await choose(page)
        await page.get_by_role("button", name="Send the file").click()
        await expect(page.get_by_role("dialog")).to_contain_text("It is empty now.")
        await expect(page.get_by_role("button", name="Delete 0 rows and send")).to_be_enabled()


async def test_deleting_says_when_nobody_can_tell_how_many(eye: Eye) -> None:
    page = await eye.look()
    problem = {"detail": "The database cannot be reached."}
    await page.route("**/employees", lambda route: route.fulfill(status=503, json=problem))
    await choose(page)
    await page.get_by_text("File and sending options", exact=True).click()
    await page.get_by_label(DELETE).check()
    await page.get_by_role("button", name="Send the file").click()
    await expect(page.get_by_role("dialog")).to_contain_text(
        "The number of its rows is not known now. The database cannot be reached."
    )
    await expect(page.get_by_role("button", name="Delete all and send")).to_be_enabled()
    await page.get_by_role("button", name="Keep it").click()
    eye.complaints.clear()  # Chromium notes the 503
    assert not sent(eye)


async def test_a_file_without_a_usable_row_is_refused_in_place(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look()
    await choose(page, b"no comma here\n<b>nor here</b>\n")
    await page.get_by_label("Timeout").fill("77")
    await page.get_by_role("button", name="Send the file").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("no usable row")
    await expect(alert.locator("tbody tr")).to_have_text(
        ["1has 1 field, not 2no comma here", "2has 1 field, not 2<b>nor here</b>"]
    )
    await expect(page.get_by_label("Timeout")).to_have_value("77")
    assert await findings(page) == []
    eye.complaints.clear()  # Chromium notes the 422
    await choose(page)
    await expect(alert).to_be_hidden()
    await page.get_by_label("Timeout").fill("0")
    await page.get_by_role("button", name="Send the file").click()
    await page.wait_for_url(RUN_PAGE)
    assert len(await runs(server)) == 1


async def test_a_file_that_is_too_large_is_told_before_it_is_sent(eye: Eye) -> None:
    page = await eye.look()
    await choose(page, b"x" * 11_000_001)
    facts = page.locator("#file_facts")
    await expect(facts).to_have_text("The file is too large: 10.5 MB. The server takes at most 10.5 MB.")
    await page.get_by_role("button", name="Send the file").click()
    assert await page.evaluate("!document.getElementById('input_file').checkValidity()")
    await choose(page, b"")
    await expect(facts).to_have_text("The file is empty.")
    assert not sent(eye)


async def test_a_file_that_the_server_finds_too_large_is_refused_in_place(eye: Eye) -> None:
    page = await eye.look()
    await page.evaluate("document.getElementById('send').dataset.mostUpload = 1e9")
    await choose(page, people(450_000))
    await page.get_by_role("button", name="Send the file").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("larger than the limit of 11,000,000 bytes")
    await expect(alert).to_contain_text("Split the file")
    eye.complaints.clear()  # Chromium notes the 413


async def test_a_server_that_is_away_or_busy_is_told_in_place(eye: Eye) -> None:
    page = await eye.look()
    answers = iter(
        [
            {"status": 503, "json": {"detail": "Too many runs wait.", "advice": "Wait a while."}},
            {"status": 401, "json": {"detail": "Log in."}},
            {"status": 502, "body": "a proxy's page"},
            {"status": 413, "body": "<h1>413 Request Entity Too Large</h1>"},
        ]
    )

    async def answer(route: Route) -> None:
        if one := next(answers, None):
            await route.fulfill(**one)  # type: ignore[arg-type]
        else:
            await route.abort()

    await page.route("**/simulate/", answer)
    await choose(page)
    alert = page.get_by_role("alert")
    for words in (
        "Too many runs wait.Wait a while.",
        "Log in.Log in",
        "502",
        "A proxy in front of the server limits uploads",
        "connection was lost",
    ):
        await page.get_by_role("button", name="Send the file").click()
        await expect(alert).to_contain_text(words)
        await expect(page.get_by_role("button", name="Send the file")).to_be_enabled()
    eye.complaints.clear()  # Chromium notes each of them


async def test_a_file_is_checked_without_a_run(eye: Eye, server: ServerUnderTest) -> None:
    page = await eye.look()
    await choose(page, MIXED + b"Ann again,ann@example.com\n")
    await page.get_by_text("File and sending options", exact=True).click()
    await page.get_by_label("Only check the file").check()
    await page.get_by_label(DELETE).check()  # nothing is deleted: nothing is asked
    await page.get_by_role("button", name="Check the file").click()
    report = page.locator("#report")
    await expect(report).to_contain_text("4 rows read: 3 can be published, 1 rejected.")
    await expect(report.locator("tbody tr")).to_have_text(["2has 1 field, not 2no comma here"])
    await expect(report).to_be_focused()
    assert await findings(page) == []
    assert await runs(server) == []


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_file_names_are_text(eye: Eye, server: ServerUnderTest, name: str) -> None:
    page = await eye.look()
    await choose(page, name=name)
    await page.get_by_role("button", name="Send the file").click()
    await page.wait_for_url(RUN_PAGE)
    kept = (await runs(server))[0]["file"]["name"]
    for path in ("/", "/runs"):
        await page.goto(path)
        await expect(page.locator(".runs .file")).to_have_text(kept)
        assert await findings(page) == []


@IN_EACH_LOOK
async def test_the_form_is_sound_in_every_state(eye: Eye, size: tuple[int, int], dark: bool) -> None:
    page = await eye.look(size=size, dark=dark)
    await choose(page)
    await expect(page.locator("#preview_tables td").first).to_be_visible()
    assert (await findings(page), await overflows(page)) == ([], False)
    await page.get_by_text("File and sending options", exact=True).click()
    assert (await findings(page), await overflows(page)) == ([], False)
    await page.get_by_label(DELETE).check()
    await page.get_by_role("button", name="Send the file").click()
    await expect(page.get_by_role("dialog")).to_contain_text("It is empty now.")
    assert (await findings(page), await overflows(page)) == ([], False)
