"""The history: what is asked of it, the addresses of its pages, its three faces, among fakes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from aiohttp import web

from promise_pub.delivery.store.query import NEWEST_FIRST, RunSelection, Sort
from promise_pub.errors import BadParameter
from promise_pub.http.pagination import Paging
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Counts, RunReport, Seconds, State, StoredFile, Verdict
from promise_pub.samples import Sample
from promise_pub.web.runs.history import PARAMETERS, View, parse_view
from tests.web_house import JSON, Client, House, opened

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOSTILE = '<script>alert("1")</script> \N{REPLACEMENT CHARACTER} & \'.csv'


@pytest.fixture
async def house(tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    async with opened(tmp_path, aiohttp_client) as made:
        yield made


def run(name: str, **changes: Any) -> RunReport:
    report = RunReport(str(uuid4()), Parameters(), StoredFile(name, 10, "h"), NOW)
    return replace(report, **changes)


def keep(house: House, *runs: RunReport) -> None:
    house.ledger.runs |= {report.id: report for report in runs}


async def names(house: House, query: str) -> list[str]:
    answer = await house.client.get(f"/runs{query}", headers=JSON)
    return [report["file"]["name"] for report in await answer.json()]


def test_nothing_asked_is_the_newest_first() -> None:
    assert parse_view({}) == View(NEWEST_FIRST, Paging(page=1, per_page=50))
    empty = dict.fromkeys(PARAMETERS, "")
    assert parse_view(empty) == parse_view({}), "browsers send the fields that nobody filled in"


def test_everything_can_be_asked_for_at_once() -> None:
    query = {
        "state": "failed",
        "verdict": "broken",
        "mode": "live",
        "file": " März%_\u202e ",
        "sort": "sent",
        "order": "asc",
        "page": "3",
        "per_page": "7",
    }
    which = RunSelection(
        State.FAILED,
        Verdict.BROKEN,
        Mode.LIVE,
        "März%_\N{REPLACEMENT CHARACTER}",  # as the name was kept
        Sort.SENT,
        descending=False,
    )
    view = parse_view(query)
    assert view == View(which, Paging(3, 7)) and view.paging.skip == 14


@pytest.mark.parametrize("sort", Sort)
def test_names_begin_with_a_and_numbers_with_the_highest(sort: Sort) -> None:
    assert parse_view({"sort": sort.value}).which.descending is (sort is not Sort.FILE)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("state", "done", "state must be one of queued, negotiating, publishing, draining, "),
        ("verdict", "Kept", "verdict must be one of kept, broken, unknown, not 'Kept'."),
        ("mode", "dead", "mode must be one of live, batch, not 'dead'."),
        ("sort", "id; --", "sort must be one of started, file, sent, seconds, not 'id; --'."),
        ("order", "up", "order must be one of asc, desc, not 'up'."),
        ("file", "x" * 256, "file must be at most 255 characters"),
        ("page", "0", "page must be a whole number from 1 to 1000000000, not '0'."),
        ("per_page", "501", "per_page must be a whole number from 1 to 500, not '501'."),
        ("stat", "failed", "There is no parameter 'stat': there are state, verdict, mode, file, "),
    ],
)
def test_what_is_no_value_is_refused_with_those_there_are(name: str, value: str, told: str) -> None:
    with pytest.raises(BadParameter) as refused:
        parse_view({name: value})
    assert refused.value.message.startswith(told)


def test_an_address_names_only_what_is_not_the_default_and_leads_back() -> None:
    assert View().url() == "/runs"
    view = parse_view({"state": "failed", "file": "a&b=ü", "per_page": "5", "page": "2"})
    url = view.url(page="2")
    assert url == "/runs?page=2&state=failed&file=a%26b%3D%C3%BC&per_page=5"
    assert View(replace(NEWEST_FIRST, descending=False)).url() == "/runs?order=asc"
    assert parse_view({"sort": "file", "order": "asc"}).url() == "/runs?sort=file"


def test_a_heading_sorts_and_sorts_the_other_way_round() -> None:
    view = parse_view({"mode": "live", "page": "4"})
    assert view.sorted_by("file") == "/runs?mode=live&sort=file"
    assert view.sorted_by("started") == "/runs?mode=live&order=asc"
    by_file = parse_view({"sort": "file"})
    assert by_file.sorted_by("file") == "/runs?sort=file&order=desc"
    assert parse_view({"sort": "file", "order": "desc"}).sorted_by("file") == "/runs?sort=file"


async def test_pages_are_linked_with_all_that_was_asked_for(house: House) -> None:
    keep(
        house,
        *(run(f"{n}.csv", created_at=NOW + timedelta(n), state=State.FAILED) for n in range(5)),
    )
    keep(house, run("other.csv"))
    answer = await house.client.get("/runs?state=failed&page=2&per_page=2", headers=JSON)
    assert answer.headers["X-Total-Count"] == "5"
    assert [one["file"]["name"] for one in await answer.json()] == ["2.csv", "1.csv"]
    for relation, number in (("first", 1), ("prev", 1), ("next", 3), ("last", 3)):
        link = f'</runs?page={number}&state=failed&per_page=2>; rel="{relation}"'
        assert link in answer.headers["Link"]
        followed = await house.client.get(f"/runs?page={number}&state=failed&per_page=2")
        assert followed.status == 200


async def test_json_and_csv_hold_what_the_page_shows(house: House) -> None:
    keep(house, run("Some.csv", counts=Counts(confirmed=5)), run("other.csv"), run("more.CSV"))
    query = "?file=E.csv&sort=file"
    assert await names(house, query) == ["more.CSV", "Some.csv"]
    table = await (await house.client.get(f"/runs{query}&format=csv")).text()
    assert [line.split(",")[2] for line in table.splitlines()] == ["file", "more.CSV", "Some.csv"]
    page = await (await house.client.get(f"/runs{query}")).text()
    assert page.index("more.CSV") < page.index("Some.csv") and "other.csv" not in page
    assert 'href="/runs?format=csv&amp;file=E.csv&amp;sort=file"' in page


@pytest.mark.parametrize("query", ["?sort=odd", "?state=odd", "?file=a&file=b"])
async def test_a_wrong_value_is_answered_with_400_in_every_face(house: House, query: str) -> None:
    for headers in (JSON, {}, {"Accept": "text/csv"}):
        answer = await house.client.get(f"/runs{query}", headers=headers)
        assert answer.status == 400
        assert "must be one of" in (text := await answer.text()) or "more than once" in text


async def test_a_page_says_what_it_is_sorted_by_and_filtered_with(house: House) -> None:
    keep(house, run("a.csv", state=State.FAILED))
    page = await (await house.client.get("/runs?sort=seconds&order=asc&state=failed&file=A")).text()
    assert page.count("aria-sort=") == 1 and 'aria-sort="ascending"' in page
    assert '<option value="failed" selected>' in page and '<option value="asc" selected>' in page
    assert 'name="file" value="A"' in page


async def test_hostile_names_are_text(house: House) -> None:
    keep(house, run(HOSTILE))
    for path in ("/", "/runs", f"/runs?file={quote(HOSTILE)}"):
        page = await (await house.client.get(path)).text()
        assert "<script>alert" not in page and "&lt;script&gt;alert(&#34;1&#34;)" in page, path


async def test_nothing_found_says_what_to_do(house: House) -> None:
    assert "No runs yet" in await (await house.client.get("/runs")).text()
    keep(house, run("a.csv"))
    none = await (await house.client.get("/runs?file=zzz")).text()
    assert "No runs match these filters" in none and 'value="zzz"' in none
    beyond = await (await house.client.get("/runs?page=9&file=a")).text()
    assert "There is no page 9" in beyond and 'href="/runs?file=a"' in beyond


async def test_a_run_shows_its_rate_as_a_line_and_as_a_number(house: House) -> None:
    samples = tuple(Sample(at, 0, 0, rows, None, None, None, None) for at, rows in ((0, 0), (2, 9000)))
    keep(
        house,
        run("a.csv", samples=samples, counts=Counts(confirmed=9000), seconds=Seconds(publishing=2)),
        run("b.csv"),
    )
    page = await (await house.client.get("/runs?sort=file")).text()
    first, second = re.findall(r'<td data-name="Rows a second".*?</td>', page)
    assert 'aria-hidden="true"><path d="M0.0 0.0L100.0 0.0"/></svg> 4,500' in first
    assert "svg" not in second and "–" in second
    assert "style=" not in page


async def test_runs_can_be_chosen_to_be_compared_without_scripts(house: House) -> None:
    runs = [run("a.csv"), run("b.csv")]
    keep(house, *runs)
    page = await (await house.client.get("/runs")).text()
    assert '<form id="compare" action="/compare" method="get" data-most="6">' in page
    for one in runs:
        assert f'<input type="checkbox" name="run" value="{one.id}"' in page
