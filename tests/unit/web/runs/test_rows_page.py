"""The rows of a run as people see them: by fate, by text, from a line on; on the run's page those that need somebody."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.delivery.input.row_chunks import RowChunk
from promise_pub.delivery.rows.reading import CHUNKS_AT_ONCE, RowFate, RowReader
from promise_pub.errors import RowsNotReady
from promise_pub.records import State
from promise_pub.web.runs import rows
from tests.fakes import FakeRowStore, until
from tests.web_house import CSV, JSON, Client, House, opened

HOSTILE = "<script>alert(1)</script>"
DATA = f'Ann,ann@x\nbad\nBob,bob@x\nEve,"{HOSTILE}, =cmd"\nAnn again,ann@x\n'.encode()
TOLD = {"received": 3, "saved": 2, "rows": "1-2,4", "digest": None}
"""What the consumer says of DATA: the third row is missing."""


class Parsed(HTMLParser):
    """Links, forms and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.forms: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._href = self._action = ""
        self._in_cell = self._in_button = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self._href = given.get("href") or ""
        elif tag == "form":
            self._action = given.get("action") or ""
        elif tag == "tr" and "id" in given:
            self.rows.append([])
        elif tag == "td" and self.rows:
            self.rows[-1].append("")
        self._in_cell |= tag == "td"
        self._in_button |= tag == "button"

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._href = ""
        self._in_cell &= tag != "td"
        self._in_button &= tag != "button"

    def handle_data(self, data: str) -> None:
        if self._href and data.strip():
            self.links[data.strip()] = self._href
        if self._in_button:
            self.forms[data.strip()] = self._action
        if self._in_cell and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        made.consumer.told = dict(TOLD)
        yield made


async def sent(house: House, data: bytes = DATA, query: str = "?mode=batch") -> str:
    """The address of a run of the data, which has ended."""
    answer = await house.client.post(f"/simulate/{query}", data=data, headers=CSV)
    return f"/runs/{(await answer.json())['id']}"


async def shown(house: House, path: str) -> Parsed:
    answer = await house.client.get(path)
    assert answer.status == 200, await answer.text()
    return Parsed(await answer.text())


async def test_each_record_has_its_line_row_fate_content_and_reason(house: House) -> None:
    page = await shown(house, f"{await sent(house)}/rows")
    assert [row[:4] for row in page.rows] == [
        ["1", "1", "saved", "Ann,ann@x"],
        ["2", "–", "rejected", "bad"],
        ["3", "2", "saved", "Bob,bob@x"],
        ["4", "3", "missing", f'Eve,"{HOSTILE}, =cmd"'],
        ["5", "4", "repeat", "Ann again,ann@x"],
    ]
    assert page.rows[1][4] == "has 1 field, not 2" and "not among the rows" in page.rows[3][4]


async def test_a_repeat_leads_to_the_line_that_it_repeats(house: House) -> None:
    path = await sent(house)
    page = await shown(house, f"{path}/rows?fate=repeat")
    assert page.links["line 1"] == f"{path}/rows?line=1#line-1"
    assert (await shown(house, page.links["line 1"])).rows[0][0] == "1"


async def test_contents_are_shown_and_not_run(house: House) -> None:
    text = await (await house.client.get(f"{await sent(house)}/rows")).text()
    assert HOSTILE not in text and HOSTILE in unescape(text)
    assert re.search(r"<bdi>Eve,[^<]*</bdi>", text)


async def test_chips_choose_a_fate_and_a_second_time_all_again(house: House) -> None:
    path = await sent(house)
    page = await shown(house, f"{path}/rows")
    chips = {name: href for name, href in page.links.items() if "fate=" in href}
    assert chips == {name: f"{path}/rows?fate={name}" for name in ("rejected", "missing", "repeat", "saved")} | {
        count: href for count, href in chips.items() if count.isdigit()
    }
    missing = await shown(house, chips["missing"])
    assert [row[0] for row in missing.rows] == ["4"]
    assert missing.links["missing"] == f"{path}/rows"
    assert missing.links["CSV"] == f"{path}/rows?fate=missing&format=csv"


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("?text=ANN", ["1", "5"]),
        ("?text=ann&fate=repeat", ["5"]),
        ("?line=3", ["3", "4", "5"]),
        ("?after=3", ["4", "5"]),
        ("?line=2&after=3", ["4", "5"]),
        ("?line=5&after=3", ["5"]),
        ("?line=1", ["1", "2", "3", "4", "5"]),
        ("?fate=attention", ["2", "4"]),
        ("?fate=missing,rejected", ["2", "4"]),
        ("?fate=&text=&line=", ["1", "2", "3", "4", "5"]),
        ("?text=nobody", []),
    ],
)
async def test_filters(house: House, query: str, lines: list[str]) -> None:
    page = await shown(house, f"{await sent(house)}/rows{query}")
    assert [row[0] for row in page.rows] == lines


async def test_one_page_leads_to_the_next(house: House) -> None:
    path = await sent(house)
    seen, url, pages = [], f"{path}/rows?per_page=2", 0
    while url:
        page = await shown(house, url)
        seen += [row[0] for row in page.rows]
        url, pages = page.links.get("Next", ""), pages + 1
    assert (seen, pages) == (["1", "2", "3", "4", "5"], 3)
    assert page.links["First"] == f"{path}/rows?per_page=2"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?fate=lost", "fate must be one of"),
        ("?line=-1", "line must be the number of a line, from 1 on"),
        ("?line=0", "line must be the number of a line, from 1 on"),
        ("?after=-1", "after must be the number of a line"),
        ("?text=a&text=b", "more than once"),
        (f"?text={'a' * 201}", "at most 200 characters"),
        ("?format=xml", "format must be one of"),
        ("?fate=lost&format=xml", "must be one of"),
        ("?per_page=501", "from 1 to 500"),
        ("?row=1", "There is no parameter"),
    ],
)
async def test_what_cannot_be_asked_for_is_named(house: House, query: str, says: str) -> None:
    answer = await house.client.get(f"{await sent(house)}/rows{query}", headers=JSON)
    assert (answer.status, says in unescape(await answer.text())) == (400, True)


async def test_long_contents_open_on_a_click_and_very_long_ones_are_in_the_data(house: House) -> None:
    house.uploads.limit = 100_000
    path = await sent(house, f"Ann,{'a' * 300}\nBob,{'b' * 6000}\n".encode())
    text = await (await house.client.get(f"{path}/rows")).text()
    opened, cut = re.findall(r'<td class="content">(.*?)</td>', text, re.DOTALL)
    assert opened.count("<details>") == 1 and "a" * 300 in opened
    assert "b" * 201 not in cut and "all 6,004 characters" in cut
    whole = re.search(r'href="([^"]*)"', cut)
    assert whole
    (row,) = await (await house.client.get(unescape(whole[1]))).json()
    assert row["content"] == f"Bob,{'b' * 6000}"


async def test_lines_and_fates_remain_when_the_file_is_gone(house: House) -> None:
    path = await sent(house)
    house.uploads.path(path.rpartition("/")[2]).unlink()
    page = await shown(house, f"{path}/rows")
    assert [row[:3] for row in page.rows][2:4] == [["3", "2", "saved"], ["4", "3", "missing"]]
    assert {row[3] for row in page.rows if row[1] != "–"} == {"no longer kept"}
    text = await (await house.client.get(f"{path}/rows")).text()
    assert "The lines and fates of its rows are kept; their contents are not." in text
    answer = await house.client.get(f"{path}/rows?text=ann", headers=JSON)
    assert (answer.status, (await answer.json())["code"]) == (409, "rows_lost")


async def test_what_would_prove_more_stands_where_fates_are_unknown(house: House) -> None:
    house.consumer.told = {"received": 4, "saved": 1, "digest": None}
    path = await sent(house)
    text = await (await house.client.get(f"{path}/rows")).text()
    assert "not known.</strong>" in text and "duplicate_rows and invalid_rows" in text
    assert "duplicate_rows" not in await (await house.client.get(f"{path}/rows?fate=rejected")).text()


async def test_the_page_of_a_run_begins_with_the_rows_that_need_somebody(house: House) -> None:
    path = await sent(house)
    text = await (await house.client.get(path)).text()
    page = Parsed(text)
    assert "Rows that need you (2)" in text
    assert [row[0] for row in page.rows] == ["4", "2"], "what was lost comes before what is no row"
    assert text.index('id="gauges"') < text.index('id="needs"') < text.index("Over time")
    assert page.links["1 missing"] == f"{path}/rows?fate=missing", "the note at the bar"
    assert page.links["Download CSV"] == f"{path}/rows?fate=attention&format=csv"
    assert page.forms["Send only these again"] == f"{path}/again?fate=missing"
    assert "Rejected records are no rows" in text


async def test_only_the_first_of_many_stand_there(house: House) -> None:
    house.consumer.told = {"received": 0, "saved": 0, "rows": "", "digest": None}
    path = await sent(house, b"".join(b"N%d,%d@x\n" % (n, n) for n in range(30)))
    page = await shown(house, path)
    assert [row[0] for row in page.rows] == [str(line) for line in range(1, 11)]
    assert page.links["All 30"] == f"{path}/rows?fate=attention"


async def test_many_rejected_records_do_not_hide_a_lost_row(house: House) -> None:
    house.consumer.told = {"received": 0, "saved": 0, "rows": "", "digest": None}
    page = await shown(house, await sent(house, b"bad\n" * 30 + b"Ann,ann@x\n"))
    assert [row[0] for row in page.rows] == ["31", *map(str, range(1, 10))]


async def test_a_run_without_losses_needs_nobody(house: House) -> None:
    house.consumer.told = {}
    path = await sent(house, b"Ann,ann@x\n")
    text = await (await house.client.get(path)).text()
    assert "need you" not in text and "Send only these again" not in text
    assert Parsed(text).links["saved"] == f"{path}/rows?fate=saved"


async def test_a_run_that_is_resumed_between_two_reads_is_shown_without_its_rows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resumed(*_: object) -> list[object]:
        raise RowsNotReady("The run was resumed meanwhile.")

    path = await sent(house)
    monkeypatch.setattr(RowReader, "find_first_in_need", resumed)
    for face in ("", "/report.html"):
        assert (await shown(house, path + face)).rows == []


async def test_rows_are_sent_again_and_nothing_is_emptied(house: House) -> None:
    path = await sent(house, query="?mode=batch&clear=true")
    house.consumer.told = {}
    form = (await shown(house, f"{path}/rows?fate=missing")).forms["Send only these again"]
    held = len(house.ledger.employees)
    answer = await house.client.post(unescape(form), headers={"Prefer": "respond-async", **JSON})
    assert answer.status == 202
    run: Any = house.runs.find((await answer.json())["id"])
    await run.done.wait()
    report = run.report()
    assert (report.state, report.counts.read, report.parameters.clear) == (State.COMPLETED, 1, False)
    assert len(house.ledger.employees) >= held > 0
    assert house.uploads.path(report.id).read_bytes() == f'\nEve,"{HOSTILE}, =cmd"\n'.encode()


async def test_a_search_for_text_offers_no_new_run(house: House) -> None:
    """It would be made of all rows of a fate, not of those with the text."""
    assert "Send only these again" not in (await shown(house, f"{await sent(house)}/rows?text=ann")).forms


async def test_a_page_says_that_the_rows_are_being_listed_and_is_loaded_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = asyncio.Event()
    write = house.ledger.rows.write_chunks

    async def slowly(*arguments: Any) -> None:
        await listed.wait()
        await write(*arguments)

    monkeypatch.setattr(house.ledger.rows, "write_chunks", slowly)
    answer = await house.client.post("/simulate/?mode=batch", data=DATA, headers=CSV | {"Prefer": "respond-async"})
    path = answer.headers["Location"]
    run: Any = house.runs.find(path.rpartition("/")[2])
    await until(lambda: run.report().state is State.COMPLETED)
    text = await (await house.client.get(path)).text()
    assert "data-listing" in text and "The rows are being listed" in text and 'http-equiv="refresh"' in text
    listed.set()
    await run.done.wait()
    text = await (await house.client.get(path)).text()
    assert "data-listing" not in text and "Rows that need you (2)" in text


async def test_the_rows_of_a_run_in_progress_are_not_listed_yet(house: House) -> None:
    async with house.consumer.holding("create"):
        answer = await house.client.post("/simulate/?mode=batch", data=DATA, headers=CSV | {"Prefer": "respond-async"})
        path = answer.headers["Location"]
        told = await house.client.get(f"{path}/rows", headers=JSON)
        assert (told.status, (await told.json())["code"]) == (409, "rows_not_ready")


@pytest.mark.parametrize("format", ["csv", "json"])
async def test_a_page_of_long_rows_ends_early_and_the_next_one_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    house.uploads.limit = 1 << 20
    path = await sent(house, b"".join(b"%d,%s\n" % (n, b"x" * 120_000) for n in range(1, 8)))
    monkeypatch.setattr(rows, "MAX_PAGE_TEXT", 400_000)
    slices, add = list[int](), rows._Table.add

    def noted(table: rows._Table, some: Sequence[RowFate]) -> str:
        slices.append(sum(len(one.content or "") for one in some))
        return add(table, some)

    monkeypatch.setattr(rows._Table, "add", noted)
    seen, url = list[int](), f"{path}/rows?per_page=500&format={format}"
    while url:
        answer = await house.client.get(url)
        text = await answer.text()
        told = json.loads(text) if format == "json" else [*csv.DictReader(io.StringIO(text, newline=""))]
        assert len(seen) + len(told) == 7 or len(told) == 4
        seen += [int(one["line"]) for one in told]
        url = str(answer.links["next"]["url"].relative()) if "next" in answer.links else ""
    assert seen == [*range(1, 8)]
    assert len(slices) == 7 and max(slices) < rows.SLICE_TEXT + 131_072, "they are written one by one"
    assert (await shown(house, f"{path}/rows")).links["Next"].endswith("after=4")


async def test_few_chunks_are_fetched_for_a_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.uploads.limit = 1 << 20
    path = await sent(house, (b"n," + b"x" * 897 + b"\n") * 1_000)
    fetched, find_chunks = list[int](), FakeRowStore.find_chunks

    async def noted(store: FakeRowStore, run_id: str, groups: Collection[int], after: int, most: int) -> list[RowChunk]:
        found = await find_chunks(store, run_id, groups, after, most)
        fetched.append(len(found))
        return found

    monkeypatch.setattr(FakeRowStore, "find_chunks", noted)
    answer = await house.client.get(f"{path}/rows?format=csv")
    assert len((await answer.text()).splitlines()) == 1_001
    assert sum(fetched) > 10 and max(fetched) <= CHUNKS_AT_ONCE <= 4
