from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.types.bookmarks import BookmarksJson
from promise_pub.sources import Found, Identity, Ignored, Renewal, WrongType
from tests.unit.features.events.sources.types.wholes import found_in, given_file, outcomes_of, reasons_in

AT = 1_764_547_200_123_456  # 2025-12-01 00:00:00.123456 UTC


def place(title: object, uri: object = "https://a.example/", at: object = AT, **more: object) -> dict[str, Any]:
    return {"guid": "x", "title": title, "dateAdded": at, "type": "text/x-moz-place", "uri": uri, **more}


def container(title: str, *children: object, **more: object) -> dict[str, Any]:
    return {"title": title, "dateAdded": AT, "type": "text/x-moz-place-container", "children": [*children], **more}


def content_of(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_backup_of_firefox_has_folders_and_tags() -> None:
    backup = container(
        "",
        container(
            "menu", container("News", place("A", tags="b,a, c d"), {"type": "text/x-moz-place-separator"}), place("B")
        ),
        {"title": "unfiled", "type": "text/x-moz-place-container", "root": "unfiledBookmarksFolder"},
        root="placesRoot",
    )

    first, separator, second, empty = outcomes_of(BookmarksJson(), content_of(backup))
    assert first == Found(
        at=datetime(2025, 12, 1, 0, 0, 0, 123456, UTC),
        text="A",
        url="https://a.example/",
        tags=["b", "a", "c d"],
        data={"folder": "menu/News"},
        identity=b"1764547200123456 https://a.example/",
    )
    assert isinstance(second, Found) and (second.text, second.data) == ("B", {"folder": "menu"})
    assert (separator, empty) == (Ignored("separator"), Ignored("folder"))
    assert (BookmarksJson.identity, BookmarksJson.renewal) == (Identity.ONE, Renewal.TEXT)


def test_tags_of_an_older_backup_are_those_of_its_folder_of_tags() -> None:
    backup = container(
        "",
        container("menu", place("A"), place("B", "https://b.example/")),
        container(
            "Tags",
            container("x", place("A"), place("B", "https://b.example/")),
            container("y", place("A")),
            {"title": "none"},
            root="tagsFolder",
        ),
    )

    assert [(one.text, one.tags) for one in found_in(BookmarksJson(), content_of(backup))] == [
        ("A", ["x", "y"]),
        ("B", ["x"]),
    ]


def test_a_list_of_delicious_bookmarks_has_their_properties() -> None:
    listed = [
        {
            "url": "https://a.example/",
            "title": "A",
            "tags": ["b", "for:bob", "c"],
            "date": "2010-10-01T17:39:39",
            "private": True,
            "comment": None,
        },
        {"url": "https://b.example/", "title": "B", "tags": [], "date": 1276760483, "private": 0, "comment": "said"},
        {
            "href": "https://c.example/",
            "description": "C",
            "extended": "more",
            "tags": "b c for:bob",
            "time": "2010-10-01T22:39:39Z",
            "shared": "no",
        },
    ]

    first, second, third = found_in(BookmarksJson(), content_of(listed))
    # Zurich is two hours ahead of UTC on that day.
    assert first == Found(
        at=datetime(2010, 10, 1, 15, 39, 39, tzinfo=UTC),
        text="A",
        url="https://a.example/",
        tags=["b", "c"],
        data={"private": True},
        identity=b"2010-10-01T17:39:39 https://a.example/",
    )
    assert (second.at, second.data) == (
        datetime(2010, 6, 17, 7, 41, 23, tzinfo=UTC),
        {"private": False, "comment": "said"},
    )
    assert (third.at, third.text, third.tags) == (datetime(2010, 10, 1, 22, 39, 39, tzinfo=UTC), "C", ["b", "c"])
    assert third.data == {"private": True, "comment": "more"}


def test_what_is_no_bookmark_costs_itself() -> None:
    nodes = [
        5,
        None,
        [],
        "x",
        {},
        {"type": []},
        {"children": 5},
        place("x", 7),
        place("x", ""),
        *(
            place("x", at=at)
            for at in (0, -1, None, "", True, 1.5, [], {}, "soon", "2026-02-30", "\ud800", "\u0661", "9" * 5_000, 2**70)
        ),
        place(None),
    ]

    *bad, last = outcomes_of(BookmarksJson(), content_of(nodes))
    assert isinstance(last, Found) and last.text == "https://a.example/"
    assert len(bad) == len(nodes) - 1 and not any(isinstance(one, Found | Ignored) for one in bad)


@pytest.mark.parametrize(
    ("tags", "read"),
    [(None, []), (5, []), ({"a": 1}, []), ([1, None, "a", ["b"], "a", " "], ["a"]), ("", []), (",a,,b,a", ["a", "b"])],
)
def test_tags_that_are_none_are_left_out(tags: object, read: list[str]) -> None:
    (event,) = found_in(BookmarksJson(), content_of([place("A", tags=tags)]))

    assert event.tags == read


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"5",
        b"null",
        b'{"children": {}}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"children": [' * 100_000,
        b'{"children": [' * 100_000 + b"]}" * 100_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[NaN]",
    ],
)
def test_a_file_that_has_no_bookmarks_is_refused(content: bytes) -> None:
    with pytest.raises(WrongType):
        [*BookmarksJson().records(content, given_file())]


def test_folders_within_each_other_are_read_as_deep_as_json_is() -> None:
    tree = place("A")
    for _ in range(31):
        tree = container("f", tree)

    (event,) = found_in(BookmarksJson(), content_of(tree))
    assert event.data["folder"] == "/".join("f" * 30)
    with pytest.raises(WrongType, match="deep"):
        [*BookmarksJson().records(content_of(container("", container("", tree))), given_file())]


def test_of_two_members_of_one_name_the_last_counts() -> None:
    assert found_in(BookmarksJson(), b'[{"uri": "x:1", "uri": "x:2", "dateAdded": 5}]')[0].url == "x:2"


KEYS = st.sampled_from(
    ["children", "type", "uri", "url", "dateAdded", "date", "title", "tags", "private", "shared", "root"]
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)


@settings(max_examples=80)
@given(st.recursive(VALUES | st.just("tagsFolder"), lambda x: st.lists(x) | st.dictionaries(KEYS, x)))
def test_any_json_is_accounted_for(value: Any) -> None:
    outcomes = outcomes_of(BookmarksJson(), content_of([value, place("A")]))

    assert any(isinstance(one, Found) and one.text == "A" for one in outcomes)
    assert isinstance(reasons_in(BookmarksJson(), content_of({"children": [value]})), list)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)


@settings(max_examples=80)
@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(10**14, 2 * 10**17)), max_size=5))
def test_every_bookmark_of_a_backup_comes_back(bookmarks: list[tuple[str, str, int]]) -> None:
    events = found_in(BookmarksJson(), content_of(container("", *(place(*one) for one in bookmarks))))

    assert [(one.text, one.url, one.identity) for one in events] == [
        (title, url, f"{at} {url}".encode()) for title, url, at in bookmarks
    ]
