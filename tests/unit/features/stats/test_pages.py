"""Statistics as pages, JSON, CSV and SVG, as they are described; and who may see them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import web

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.ports import Mark
from promise_pub.features.stats.questions import Gap, Row
from promise_pub.features.stats.records import OTHERS, LeftOut, Registered
from tests.fake_accounts import QUICK, FakeAccounts
from tests.stats.fake_statistics import FakeJournal, FakeStatistics, with_services
from tests.stats.tables import DAY, HOUR, START, a_layout, key
from tests.unit.features.stats.conftest import Seen
from tests.web_house import JSON, Client, House, check_described

EVIL = '<script>alert(1)</script>\x1b[31m\u202e"'
NOW = datetime.now(UTC)
TODAY = start_of(NOW, 86_400)


def counts(hours: int, verdicts: tuple[str, ...] = ("kept",), start: datetime = START) -> list[Row]:
    return [Row(start + n * HOUR, key("completed", verdict), (n,)) for n in range(hours) for verdict in verdicts]


async def test_the_list_tells_how_far_each_is(seen: Seen) -> None:
    layout = a_layout()
    newer = Registered(id=9, layout=a_layout(version=2), counted_from=51, position=75, shown=False)
    seen.statistics.add(layout, position=90, left_out=2, gaps=[Gap(0, 3, "swept")], next=newer)
    seen.statistics.add(a_layout("gone"), state="absent", position=100)
    seen.statistics.add(a_layout("stuck"), state="set_aside", trouble=EVIL, position=100)
    told = await seen.json("/stats")
    check_described(seen.client, "Statistics", told)
    gone, runs, stuck = told["statistics"]
    assert told["newest"] == 100 and (gone["state"], gone["behind"]) == ("absent", 0)
    assert runs == {
        "name": "runs",
        "summary": "Runs that ended, by their verdict.",
        "kind": "counting",
        "intervals": ["1h", "1d"],
        "unit": "",
        "version": 1,
        "state": "going",
        "trouble": None,
        "position": 90,
        "behind": 10,
        "left_out": 2,
        "gaps": 1,
        "rebuilding": 50,
    }
    assert stuck["trouble"] == EVIL
    text = await seen.text("/stats")
    assert "being counted, 50 %" in text and "not installed" in text and "set aside" in text and "2 left out" in text
    answer = await seen.get("/stats?format=csv")
    header, *rows = csv.reader(io.StringIO(await answer.text()))
    assert len(rows) == 3 and dict(zip(header, rows[1], strict=True))["intervals"] == "1h 1d"


async def test_without_statistics_the_page_says_what_will_be_there(seen: Seen) -> None:
    assert "will be counted here" in await seen.text("/stats")
    seen.statistics.add(a_layout())
    text = await seen.text("/stats/runs")
    assert "Nothing counted yet" in text and "<code>*.run.ended</code>" in text
    told = await seen.json("/stats/runs")
    check_described(seen.client, "StatisticRows", told)
    assert told["rows"] == [] and told["total"] == 0
    assert (await (await seen.get("/stats/runs?format=csv")).text()).strip() == "start,end,state,verdict,count"
    assert (await seen.get("/stats/runs?format=svg")).status == 200
    assert "Nothing was counted for this question" in await seen.text("/stats/runs?key=state:x")


async def test_a_page_of_rows_has_windows_keys_and_counts(seen: Seen) -> None:
    rows = [Row(START, key("completed", "kept"), (3,)), Row(START, OTHERS, (2**40,))]
    seen.statistics.add(a_layout(), {3_600: rows}, position=100)
    told = await seen.json("/stats/runs?interval=1h&order=asc&since=2026-11-01&until=2026-11-02")
    check_described(seen.client, "StatisticRows", told)
    ends = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:00:00Z"}
    assert told["rows"] == [
        {**ends, "key": None, "count": 2**40},
        {**ends, "key": {"state": "completed", "verdict": "kept"}, "count": 3},
    ]
    assert (told["interval"], told["since"], told["until"]) == ("1h", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    answer = await seen.get("/stats/runs?interval=1h&format=csv")
    assert [*csv.reader(io.StringIO(await answer.text()))] == [
        ["start", "end", "state", "verdict", "count"],
        ["2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z", "completed", "kept", "3"],
        ["2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z", "other", "other", str(2**40)],
    ]
    assert 'filename="runs.csv"' in answer.headers["Content-Disposition"]


async def test_every_kind_has_its_values_in_all_faces(seen: Seen) -> None:
    seen.statistics.add(
        a_layout("latency", kind="measuring", columns=(), unit="ms"),
        {3_600: [Row(START, "", (3, 1.5, 1.4, 2.0, 2.1, 2.25))], 86_400: []},
    )
    seen.statistics.add(a_layout("people", kind="distinct", columns=()), {3_600: [Row(START, "", (17,))]})
    entry = Row(START, "a.csv", (json.dumps({"verdict": EVIL}),))
    seen.statistics.add(a_layout("newest", kind="latest", columns=("file",), intervals=()), {60: [entry]})
    seen.statistics.add(a_layout("ever", intervals=(0,), columns=()), {0: [Row(START, "", (5,))]})
    expected = {
        "latency": {"key": {}, "count": 3, "mean": 1.5, "p50": 1.4, "p95": 2.0, "p99": 2.1, "max": 2.25},
        "people": {"key": {}, "about": 17},
        "newest": {"at": "2026-11-01T00:00:00.000Z", "key": {"file": "a.csv"}, "value": {"verdict": EVIL}},
        "ever": {"start": None, "end": None, "key": {}, "count": 5},
    }
    for name, row in expected.items():
        more = "?interval=1h" if name in ("latency", "people") else ""
        told = await seen.json(f"/stats/{name}{more}")
        check_described(seen.client, "StatisticRows", told)
        moments = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:00:00Z"} if more else {}
        assert told["rows"] == [{**moments, **row}]
        for face in ("html", "csv"):
            text = await seen.text(f"/stats/{name}?format={face}{more.replace('?', '&')}")
            assert "\x1b" not in text or face == "csv"
            assert "<script>alert" not in text or face == "csv"
    for name in ("newest", "ever"):
        answer = await seen.get(f"/stats/{name}?format=svg")
        assert answer.status == 400 and "format cannot be svg" in await answer.text()


async def test_following_next_gives_every_row_once_while_more_come(seen: Seen) -> None:
    """The fault of paging by a length that is taken for an end, and of links that lose their parameters."""
    rows = counts(125, ("kept", "broken"), TODAY - 10 * DAY)
    seen.statistics.add(a_layout(), {3_600: rows})
    for order in ("desc", "asc"):
        path = f"/stats/runs?format=json&interval=1h&since=30d&per_page=100&order={order}&key=state:completed"
        found: list[Any] = []
        pages = 0
        url: str | None = path
        while url:
            answer = await seen.get(url)
            found += [(one["start"], one["key"]["verdict"]) for one in (await answer.json())["rows"]]
            assert answer.headers["X-Total-Count"] == "250"
            pages += 1
            # Rows of windows that begin later are on no page of this list.
            seen.statistics.rows["runs", 3_600].append(Row(TODAY + 2 * DAY, key("completed", f"new{pages}"), (1,)))
            url = str(answer.links["next"]["url"].relative()) if "next" in answer.links else None
            for name, link in answer.links.items():
                query = link["url"].query
                assert {*query} == {*("format", "interval", "since", "until", "per_page", "order", "key", "page")}, name
                assert query["key"] == "state:completed" and query["order"] == order
        assert pages == 3 and len(found) == len({*found}) == 250
        assert found == sorted(found, reverse=order == "desc")


async def test_the_same_question_has_the_same_etag(seen: Seen) -> None:
    seen.statistics.add(a_layout(), {86_400: counts(24)})
    for path in ("/stats/runs?interval=1d&since=60d&format=json", "/stats", "/stats/runs?interval=1d&format=csv"):
        first = await seen.get(path)
        again = await seen.get(path, **{"If-None-Match": first.headers["ETag"]})
        assert again.status == 304


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("page=0", "page must be"),
        ("page=-1", "page must be"),
        ("page=nan", "page must be"),
        ("per_page=0", "per_page must be"),
        ("per_page=501", "per_page must be"),
        ("interval=2h", "interval must be one of 1h, 1d"),
        ("interval=x", "interval must be"),
        ("since=yesterday", "since must be"),
        ("until=1e9", "until must be"),
        ("since=1h&until=2h", "since must be before until"),
        ("order=up", "order must be desc or asc"),
        ("fill=one", "fill must be zero"),
        ("cumulative=yes", "cumulative must be true or false"),
        ("top=0", "top must be"),
        ("top=101", "top must be"),
        ("key=kept", "key must name a column"),
        ("key=state:a&key=state:b", "more than once"),
        ("key=state:%00", "key must be a line"),
        ("version=-1", "version must be"),
        ("interval=1h&interval=1d", "more than once"),
        ("start=1", "no parameter"),
        ("limit=10", "no parameter"),
    ],
)
async def test_a_wrong_parameter_is_named_in_the_format_asked_for(seen: Seen, query: str, said: str) -> None:
    seen.statistics.add(a_layout(), {3_600: counts(3)})
    answer = await seen.get(f"/stats/runs?{query}", **JSON)
    told = await answer.json()
    assert answer.status == 400 and answer.content_type == "application/problem+json", query
    assert said in told["detail"] and told["code"] == "bad_parameter"
    text = await seen.get(f"/stats/runs?{query}")
    assert text.status == 400 and text.content_type == "text/html"


async def test_what_does_not_add_up_is_not_summed(seen: Seen) -> None:
    seen.statistics.add(a_layout("latency", kind="measuring", columns=()))
    seen.statistics.add(a_layout("newest", kind="latest", intervals=()))
    for path in ("latency?cumulative=true", "newest?top=3", "newest?fill=zero", "newest?interval=1h"):
        answer = await seen.get(f"/stats/{path}", **JSON)
        assert answer.status == 400 and "does not apply" in (await answer.json())["detail"], path


async def test_an_unknown_statistic_is_a_problem_in_the_format_asked_for(seen: Seen) -> None:
    seen.statistics.add(a_layout())
    for path in (
        "/stats/none",
        "/stats/none/layout",
        "/stats/runs?version=7",
        "/stats/%3Cb%3E",
        "/stats/none?per_page=0",
    ):
        answer = await seen.get(path, **JSON)
        assert (answer.status, (await answer.json())["code"]) == (404, "statistic_not_found"), path
        text = await seen.get(path)
        assert text.status == 404 and text.content_type == "text/html" and "<b>" not in await text.text()


@pytest.mark.parametrize(
    "span",
    [
        *("since=0001-01-01", "until=0001-01-02", "since=0001-01-01&until=0001-01-02", "since=9999-12-31"),
        *(
            "until=9999-12-31T23:59",
            "since=99999d",
            "since=1min",
            "since=9999-12-31&fill=zero",
            "until=0001-01-02&fill=zero",
        ),
    ],
)
async def test_every_span_has_an_answer(seen: Seen, span: str) -> None:
    seen.statistics.add(a_layout(intervals=(1, 3_600, 86_400, 86_400 * 366)), {3_600: counts(3)})
    for width in ("1s", "1h", "366d", ""):
        for face in ("html", "json", "csv", "svg"):
            answer = await seen.get(f"/stats/runs?{span}&format={face}&interval={width}")
            assert answer.status in (200, 400) and (answer.status == 200 or "shorter span" in await answer.text())


async def test_top_fill_and_sums(seen: Seen) -> None:
    rows = [
        Row(START, "a", (5,)),
        Row(START, "b", (1,)),
        Row(START + 2 * HOUR, "c", (2,)),
        Row(START + 2 * HOUR, "a", (1,)),
    ]
    seen.statistics.add(a_layout(columns=("k",)), {3_600: rows})
    span = "interval=1h&order=asc&since=2026-11-01&until=2026-11-01T04:00"

    async def told(query: str) -> list[tuple[str, str | None, int]]:
        found = await seen.json(f"/stats/runs?{span}&{query}")
        check_described(seen.client, "StatisticRows", found)
        return [(one["start"][11:13], one["key"] and one["key"]["k"], one["count"]) for one in found["rows"]]

    assert await told("top=1") == [("00", None, 1), ("00", "a", 5), ("02", None, 2), ("02", "a", 1)]
    filled = await told("fill=zero")
    assert len(filled) == 12 and filled[3:6] == [("01", "a", 0), ("01", "b", 0), ("01", "c", 0)]
    assert await told("cumulative=true") == [("00", "a", 5), ("00", "b", 1), ("02", "a", 6), ("02", "c", 2)]
    summed = await told("cumulative=true&fill=zero&top=1")
    assert summed[-2:] == [("03", None, 3), ("03", "a", 6)]
    assert await told("key=a") == [("00", "a", 5), ("02", "a", 1)] == await told("key=k:a")
    answer = await seen.get(f"/stats/runs?{span}&fill=zero&per_page=5&page=3", **JSON)
    assert len((await answer.json())["rows"]) == 2 and answer.headers["X-Total-Count"] == "12"


async def test_too_many_rows_are_refused_and_the_page_says_so(seen: Seen) -> None:
    seen.statistics.add(a_layout(intervals=(1,), columns=()), {1: [Row(START, "", (1,))]})
    answer = await seen.get("/stats/runs?since=2001-01-01&fill=zero", **JSON)
    assert answer.status == 400 and "shorter span" in (await answer.json())["detail"]
    assert "in the newest 1,000 windows" in await seen.text("/stats/runs?since=2001-01-01")
    assert "No chart: <bdi>There are more than" in await seen.text("/stats/runs?since=2001-01-01&cumulative=true")


async def test_the_interval_is_chosen_by_the_span(seen: Seen) -> None:
    seen.statistics.add(
        a_layout(intervals=(60, 3_600, 86_400)), {3_600: counts(1, start=NOW - 60 * DAY), 86_400: counts(1, start=NOW)}
    )
    for query, interval in (
        ("", "1d"),
        ("since=24h", "1h"),
        ("since=1h", "1m"),
        ("since=7d", "1h"),
        ("since=2001-01-01", "1d"),
    ):
        assert (await seen.json(f"/stats/runs?{query}"))["interval"] == interval, query


async def test_the_page_tells_what_a_reader_has_to_know(seen: Seen) -> None:
    newer = Registered(id=9, layout=a_layout(version=2), counted_from=1, position=43, shown=False)
    seen.statistics.add(
        a_layout(),
        {3_600: counts(3)},
        position=90,
        left_out=120,
        first=[LeftOut(1, 7, f"ValueError: {EVIL}")],
        next=newer,
        others=[2],
        state="set_aside",
        trouble=f"KeyError: {EVIL}",
        gaps=[Gap(0, 1000, "the journal had swept them")],
    )
    text = await seen.text("/stats/runs?interval=1h")
    for said in (
        "behind by 10 events",
        "Version 2 is being counted: 43 %",
        "no longer counted, for its trouble: KeyError",
        "120 events left out",
        "The first 1 left out",
        'href="/journal/7"',
        "Events 1 to 1,000 are not counted: the journal had swept them",
        "version=2",
    ):
        assert said in text, said
    assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text


async def test_a_chart_is_an_svg_that_no_key_breaks(seen: Seen) -> None:
    hour = start_of(NOW, 3_600)
    rows = [Row(hour - n * HOUR, key(f"{EVIL}{k}", "x"), (n + k,)) for n in range(30) for k in range(12)]
    seen.statistics.add(a_layout(), {3_600: rows})
    seen.journal.told = [Mark(hour - n * HOUR, n, f"deploy {EVIL} {n}") for n in range(25, 0, -1)]
    answer = await seen.get("/stats/runs?interval=1h&format=svg")
    assert answer.content_type == "image/svg+xml" and answer.headers["ETag"]
    assert "sha256-" in answer.headers["Content-Security-Policy"]
    text = await answer.text()
    root = ElementTree.fromstring(text)
    names = "{http://www.w3.org/2000/svg}"
    assert "Mark at" in (root.findtext(f"{names}desc") or "") and root.findtext(f"{names}title") == "runs, by 1h"
    assert len([one for one in root.iter(f"{names}path") if one.get("class", "").startswith("bar ")]) == 9
    assert len([one for one in root.iter(f"{names}g") if one.get("class") == "mark"]) == 20
    shown = await seen.text("/stats/runs?interval=1h")
    for one in (text, shown):
        assert "\x1b" not in one and "<script>alert" not in one
    assert "style=" not in shown and "<style" not in shown and "Chart as a table" in shown


@pytest.mark.parametrize(("given", "drawn"), [(None, "bar"), ({"chart": "lines"}, "curve"), (["chart"], "bar")])
async def test_keys_that_are_no_parts_of_a_whole_are_lines(seen: Seen, given: Any, drawn: str) -> None:
    hour = start_of(NOW, 3_600)
    rows = [Row(hour - n * HOUR, key(fate, "x"), (n + 1,)) for n in range(30) for fate in ("read", "saved")]
    seen.statistics.add(a_layout(given=given), {3_600: rows})
    root = ElementTree.fromstring(await (await seen.get("/stats/runs?interval=1h&format=svg")).text())
    looks = [
        one.get("class", "").split()[0] for one in root.iter("{http://www.w3.org/2000/svg}path") if one.get("class")
    ]
    assert [look for look in looks if look in ("bar", "curve")] == [drawn, drawn]


async def test_a_layout_is_handed_through(seen: Seen) -> None:
    seen.statistics.add(a_layout("latency", kind="measuring", unit="ms", given={"a": [EVIL]}, backlog=60))
    told = await seen.json("/stats/latency/layout")
    check_described(seen.client, "StatisticLayout", told)
    assert told["layout"] == {"a": [EVIL]} and told["measures"][0] == {"name": "count", "unit": ""}
    assert told["measures"][1] == {"name": "mean", "unit": "ms"}
    text = await seen.text("/stats/latency/layout")
    assert "<script>alert" not in text and "\x1b" not in text
    assert (await seen.get("/stats/latency/layout?page=1")).status == 400


async def test_a_database_that_is_away_is_told(seen: Seen) -> None:
    seen.statistics.add(a_layout())
    seen.statistics.away = DatabaseUnavailable("away")
    for path in ("/stats", "/stats/runs", "/stats/runs/layout"):
        answer = await seen.get(path, **JSON)
        assert (answer.status, (await answer.json())["code"]) == (503, "database_unavailable")


async def test_viewers_see_statistics_and_strangers_do_not(
    tmp_path: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    house, accounts, statistics = House(tmp_path), FakeAccounts(), FakeStatistics()
    statistics.add(a_layout(), {3_600: counts(3)}, left_out=1, first=[LeftOut(1, 7, "E")])
    authenticator = Authenticator(accounts, SessionSigner(b"k" * 32, hours=12), Passwords(QUICK), LoginAttempts())
    tokens = {role: (await accounts.add_token(role.value, role, 1))[0] for role in Role}
    async with house.runs:
        app = house.app(with_services(statistics, FakeJournal()), authenticator=authenticator)
        client = await aiohttp_client(app)
        assert (await client.get("/stats", headers=JSON)).status == 401
        for role in (Role.VIEWER, Role.OPERATOR):
            bearer = {"Authorization": f"Bearer {tokens[role]}"}
            text = await (await client.get("/stats/runs?interval=1h", headers=bearer)).text()
            assert "Event 7" in text and ('href="/journal/7"' in text) == (role is Role.OPERATOR)
            for path in ("/stats", "/stats/runs", "/stats/runs/layout"):
                assert (await client.get(path, headers=JSON | bearer)).status == 200
