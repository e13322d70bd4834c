from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.clocks import EPOCH
from promise_pub.features.events.sources.types.firefox import FirefoxBookmarks, FirefoxHistory
from promise_pub.sources import Found, Identity, Renewal
from tests.unit.features.events.sources.types.databases import FIREFOX, Database

AT = 1_764_547_200_123_456  # 2025-12-01 00:00:00.123456 UTC
PLACES = "id url title"
VISITS = "id place_id visit_date visit_type"
BOOKMARKS = "id type fk parent title dateAdded guid"


@pytest.fixture
def places(tmp_path: Path) -> Database:
    return Database(tmp_path / "places.sqlite", FIREFOX)


def test_a_visit_is_an_event_with_the_title_of_its_page(places: Database) -> None:
    places.add("moz_places", PLACES, [(7, "https://a.example/x%20y?q=1", "A page")])
    places.add("moz_historyvisits", VISITS, [(3, 7, AT, 1), (2, 7, AT + 1, 6)])

    assert places.found(FirefoxHistory) == [
        Found(
            at=datetime(2025, 12, 1, 0, 0, 0, 123457, UTC),
            text="A page",
            url="https://a.example/x%20y?q=1",
            data={"visit_type": 6},
            identity=b"1764547200123457 https://a.example/x%20y?q=1",
        ),
        Found(
            at=datetime(2025, 12, 1, 0, 0, 0, 123456, UTC),
            text="A page",
            url="https://a.example/x%20y?q=1",
            data={"visit_type": 1},
            identity=b"1764547200123456 https://a.example/x%20y?q=1",
        ),
    ]
    assert (FirefoxHistory.identity, FirefoxHistory.renewal) == (Identity.NUMBERED, Renewal.TEXT)


def test_a_page_without_a_title_is_told_by_its_url(places: Database) -> None:
    places.add("moz_places", PLACES, [(7, "https://a.example/", None), (8, "https://b.example/", " ")])
    places.add("moz_historyvisits", VISITS, [(1, 7, AT, 1), (2, 8, AT, None)])

    assert [one.text for one in places.found(FirefoxHistory)] == ["https://a.example/", "https://b.example/"]


def test_times_of_phones_are_in_milliseconds(places: Database) -> None:
    places.add("moz_places", PLACES, [(7, "https://a.example/", "A")])
    places.add(
        "moz_historyvisits", VISITS, [(1, 7, 1_764_547_200_123, 1), (2, 7, 3 * 10**14 - 1, 1), (3, 7, 3 * 10**14, 1)]
    )

    (phone, last, first) = places.outcomes(FirefoxHistory)
    assert isinstance(phone, Found) and phone.at == datetime(2025, 12, 1, 0, 0, 0, 123000, UTC)
    assert phone.identity == b"1764547200123 https://a.example/"
    assert not isinstance(last, Found)  # it would be one in the year 11,476
    assert isinstance(first, Found) and first.at == datetime(1979, 7, 5, 5, 20, tzinfo=UTC)


@pytest.mark.parametrize("time", [None, 0, -1, 2**63 - 1, "soon", 1.5, b"1764547200123456", 2**53 * 100])
def test_a_visit_whose_time_is_none_costs_itself(places: Database, time: object) -> None:
    places.add("moz_places", PLACES, [(7, "https://a.example/", "A")])
    places.add("moz_historyvisits", VISITS, [(1, 7, time, 1), (2, 7, AT, 1)])

    first, second = places.outcomes(FirefoxHistory)
    assert not isinstance(first, Found) and "time" in str(first)
    assert "failed" not in str(first)
    assert isinstance(second, Found)


@pytest.mark.parametrize("url", [None, "", b"\xff\xfe", 5])
def test_a_visit_of_a_page_without_a_url_is_rejected_not_left_out(places: Database, url: object) -> None:
    places.run("CREATE TABLE typeless AS SELECT * FROM moz_places; DROP TABLE moz_places")
    places.run("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url, title)")
    places.add("moz_places", PLACES, [(7, url, "A")])
    places.add("moz_historyvisits", VISITS, [(1, 7, AT, 1), (2, 99, AT, 1)])

    assert places.reasons(FirefoxHistory) == ["it has no URL", "it has no URL"]


def test_what_cannot_be_stored_is_replaced_and_the_identity_stays_that_of_the_file(places: Database) -> None:
    places.run(
        """INSERT INTO moz_places (id, url, title) VALUES
            (7, CAST(x'68747470733a2f2f612f' || x'ff' AS TEXT), CAST(x'41' || x'eda080' AS TEXT)),
            (8, CAST(x'68747470733a2f2f612f' || x'fe' AS TEXT), 'B' || char(0) || 'C')"""
    )
    places.add("moz_historyvisits", VISITS, [(1, 7, AT, 1), (2, 8, AT, 1)])

    first, second = places.found(FirefoxHistory)
    assert first.text.startswith("A") and second.text == "B\N{REPLACEMENT CHARACTER}C"
    for one in (first, second):
        assert one.url and (one.text + one.url).encode()
    assert first.identity != second.identity


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda text: f"https://{text}/"),
            st.integers(3 * 10**14, 2 * 10**17),
        ),
        max_size=5,
    )
)
def test_every_visit_comes_back(places: Database, visits: list[tuple[str, int]]) -> None:
    places.run("DELETE FROM moz_places; DELETE FROM moz_historyvisits")
    places.add("moz_places", PLACES, [(id, url, None) for id, (url, _) in enumerate(visits)])
    places.add("moz_historyvisits", VISITS, [(id, id, time, 1) for id, (_, time) in enumerate(visits)])

    found = places.found(FirefoxHistory)
    assert [(one.url, (one.at - EPOCH) // timedelta(microseconds=1)) for one in found] == visits


def test_a_bookmark_has_its_folder_and_its_tags(places: Database) -> None:
    places.add("moz_places", PLACES, [(1, "https://a.example/", "Page"), (2, "https://b.example/", "Other")])
    places.add(
        "moz_bookmarks",
        BOOKMARKS,
        [
            (10, 2, None, 3, "News", AT, "news"),
            (11, 2, None, 10, "Old", AT, "old"),
            (12, 1, 1, 11, "Mine", AT, "mine"),
            (13, 3, None, 11, "", AT, "separator"),
            (14, 2, None, 4, "zoo", AT, "tag1"),
            (15, 2, None, 4, "a, b", AT, "tag2"),
            (16, 1, 1, 14, None, AT + 1, "link1"),
            (17, 1, 1, 15, None, AT + 2, "link2"),
            (18, 1, 2, 5, None, AT + 3, "other"),
            (19, 1, 2, 4, "not in a tag", AT, "link3"),
        ],
    )

    assert places.found(FirefoxBookmarks) == [
        Found(
            at=datetime(2025, 12, 1, 0, 0, 0, 123456, UTC),
            text="Mine",
            url="https://a.example/",
            tags=["a, b", "zoo"],
            data={"folder": "toolbar/News/Old"},
            identity=b"1764547200123456 https://a.example/",
        ),
        Found(
            at=datetime(2025, 12, 1, 0, 0, 0, 123459, UTC),
            text="Other",
            url="https://b.example/",
            tags=[],
            data={"folder": "unfiled"},
            identity=b"1764547200123459 https://b.example/",
        ),
    ]
    assert (FirefoxBookmarks.identity, FirefoxBookmarks.renewal) == (Identity.ONE, Renewal.TEXT)


def test_a_folder_that_is_called_tags_is_no_folder_of_tags(places: Database) -> None:
    places.add("moz_places", PLACES, [(1, "https://a.example/", "Page")])
    places.add("moz_bookmarks", BOOKMARKS, [(10, 2, None, 2, "tags", AT, "mine"), (11, 1, 1, 10, "A", AT, "a")])

    (event,) = places.found(FirefoxBookmarks)
    assert (event.tags, event.data) == ([], {"folder": "menu/tags"})


def test_a_bookmark_without_a_time_or_a_page_costs_itself(places: Database) -> None:
    places.add("moz_places", PLACES, [(1, "https://a.example/", "Page")])
    places.add(
        "moz_bookmarks",
        BOOKMARKS,
        [
            (10, 1, 1, 2, "A", None, "a"),
            (11, 1, None, 2, "B", AT, "b"),
            (12, 1, 9, 2, "C", AT, "c"),
            (13, 1, 1, 2, "D", 0, "d"),
        ],
    )

    assert places.reasons(FirefoxBookmarks) == ["it has no time", "it has no URL", "it has no URL", "it has no time"]


def test_folders_that_are_within_each_other_end(places: Database) -> None:
    places.add("moz_places", PLACES, [(1, "https://a.example/", "Page")])
    places.add(
        "moz_bookmarks",
        BOOKMARKS,
        [
            (10, 2, None, 11, "x", AT, "x"),
            (11, 2, None, 10, "y", AT, "y"),
            (12, 1, 1, 10, "A", AT, "a"),
            (13, 1, 1, None, "B", AT, "b"),
            (14, 1, 1, 99, "C", AT, "c"),
        ],
    )

    circle, none, missing = places.found(FirefoxBookmarks)
    assert circle.data == {"folder": "/".join(["y", "x"] * 32)}
    assert none.data == missing.data == {}


def test_many_bookmarks_with_many_tags_are_read_at_once(places: Database) -> None:
    count = 20_000
    places.add("moz_places", PLACES, [(id, f"https://a.example/{id}", "A") for id in range(count)])
    places.add("moz_bookmarks", BOOKMARKS, [(100 + id, 2, None, 4, f"t{id}", AT, f"t{id}") for id in range(1_000)])
    places.run("DROP INDEX moz_bookmarks_itemindex")
    places.add(
        "moz_bookmarks", BOOKMARKS, [(10_000 + id, 1, id, 100 + id % 1_000, None, AT, "") for id in range(count)]
    )
    places.add("moz_bookmarks", BOOKMARKS, [(50_000 + id, 1, id, 2, "A", AT, "") for id in range(count)])

    assert [one.tags for one in places.found(FirefoxBookmarks)] == [[f"t{id % 1_000}"] for id in range(count)]


@pytest.mark.parametrize("source", [FirefoxHistory, FirefoxBookmarks])
def test_a_query_needs_no_more_columns_than_it_says(
    tmp_path: Path, source: type[FirefoxHistory] | type[FirefoxBookmarks]
) -> None:
    least = Database(
        tmp_path / "least",
        ";".join(f"CREATE TABLE {table} ({', '.join(names)})" for table, names in source.needs.items()),
    )

    assert least.rows(source) == []
