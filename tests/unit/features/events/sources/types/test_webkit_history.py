from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from promise_pub.features.events.sources.types.webkit import WebkitHistory
from promise_pub.sources import Found, Identity, Renewal
from tests.unit.features.events.sources.types.databases import CHROME, Database

AT = 13_409_020_800_123_457  # 2025-12-01 00:00:00.123457 UTC: 11,644,473,600 s more than since 1970
URLS = "id url title"
VISITS = "id url visit_time transition"


@pytest.fixture
def history(tmp_path: Path) -> Database:
    return Database(tmp_path / "History", CHROME)


def test_a_visit_is_an_event_to_the_microsecond(history: Database) -> None:
    history.add("urls", URLS, [(7, "https://a.example/#x", "A page")])
    history.add("visits", VISITS, [(2, 7, AT, 805306376), (1, 7, AT, -2147483647)])

    event = Found(
        at=datetime(2025, 12, 1, 0, 0, 0, 123457, UTC),
        text="A page",
        url="https://a.example/#x",
        data={"transition": 1},
        identity=b"13409020800123457 https://a.example/#x",
    )
    first, second = history.found(WebkitHistory)
    assert first == event
    assert (second.identity, second.data) == (event.identity, {"transition": 8})
    assert (WebkitHistory.identity, WebkitHistory.renewal) == (Identity.NUMBERED, Renewal.TEXT)


def test_a_visit_without_a_time_a_page_or_a_number_costs_itself(history: Database) -> None:
    history.add("urls", URLS, [(7, "https://a.example/", None), (8, None, "no url")])
    history.add(
        "visits",
        VISITS,
        [
            (1, 7, 0, 0),
            (2, 8, AT, 0),
            (3, 99, AT, 0),
            (4, 7, "x", 0),
            (5, 7, 2**63 - 1, 0),
            (6, 7, 11_644_473_600_000_000, 0),
            (7, 7, AT, "x"),
        ],
    )

    assert history.reasons(WebkitHistory) == [
        "it has no time",
        "it has no URL",
        "it has no URL",
        "its time is no whole number",
        "the time is not between 1970 and the year 10,000",
        "the time is not between 1970 and the year 10,000",
    ]
    last = history.outcomes(WebkitHistory)[-1]
    assert isinstance(last, Found) and (last.text, last.data) == ("https://a.example/", {})


def test_the_query_needs_no_more_columns_than_it_says_and_minds_none_that_are_added(
    tmp_path: Path, history: Database
) -> None:
    least = "CREATE TABLE urls (id, url, title); CREATE TABLE visits (id, url, visit_time, transition)"
    database = Database(tmp_path / "least", least)
    assert database.rows(WebkitHistory) == []
    assert {table: set(names) for table, names in WebkitHistory.needs.items()} == {
        table: database.columns(table) for table in ("urls", "visits")
    }

    history.run("ALTER TABLE visits ADD COLUMN title TEXT; ALTER TABLE urls ADD COLUMN transition INTEGER")
    history.add("urls", URLS, [(7, "https://a.example/", "A")])
    history.add("visits", VISITS, [(1, 7, AT, 1)])
    assert [one.text for one in history.found(WebkitHistory)] == ["A"]
