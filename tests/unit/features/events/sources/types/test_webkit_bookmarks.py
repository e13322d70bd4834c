from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.types.webkit import WebkitBookmarks
from promise_pub.sources import Found, Identity, Ignored, Renewal, WrongType
from tests.unit.features.events.sources.types.wholes import found_in, given_file, outcomes_of, reasons_in

AT = "13409020800123457"  # 2025-12-01 00:00:00.123457 UTC


def bookmark(name: str, url: str = "https://a.example/", at: object = AT) -> dict[str, Any]:
    return {"date_added": at, "guid": "x", "id": "5", "name": name, "type": "url", "url": url}


def folder(name: str, *children: object) -> dict[str, Any]:
    return {"children": [*children], "date_added": AT, "id": "4", "name": name, "type": "folder"}


def file_of(**roots: object) -> bytes:
    return json.dumps({"checksum": "x", "roots": roots, "version": 1}).encode()


def test_bookmarks_of_all_roots_have_their_folders() -> None:
    content = file_of(
        bookmark_bar=folder(
            "Bookmarks bar", folder("News", folder("Old", bookmark("A")), bookmark("B")), bookmark("C")
        ),
        other=folder("Other bookmarks"),
        synced=folder("Mobile bookmarks", bookmark("D")),
        mobile=folder("", bookmark("")),
        sync_transaction_version="7",
    )

    events = found_in(WebkitBookmarks(), content)
    assert events[0] == Found(
        at=datetime(2025, 12, 1, 0, 0, 0, 123457, UTC),
        text="A",
        url="https://a.example/",
        data={"folder": "bookmark_bar/News/Old"},
        identity=b"13409020800123457 https://a.example/",
    )
    assert [(one.text, one.data["folder"]) for one in events[1:]] == [
        ("B", "bookmark_bar/News"),
        ("C", "bookmark_bar"),
        ("D", "synced"),
        ("https://a.example/", "mobile"),
    ]
    assert (WebkitBookmarks.identity, WebkitBookmarks.renewal) == (Identity.ONE, Renewal.TEXT)


def test_what_is_no_bookmark_costs_itself() -> None:
    nodes = [
        5,
        None,
        ["x"],
        {},
        {"type": ["url"]},
        {"type": "url", "date_added": AT},
        bookmark("no text", url=7),  # type: ignore[arg-type]
        *(
            bookmark("", at=at)
            for at in ("0", 0, None, "", "-5", "1e9", "9" * 21, "9" * 20, "\u0661", True, 1.5, [], {})
        ),
        bookmark("B"),
    ]

    *bad, last = outcomes_of(WebkitBookmarks(), file_of(other=folder("", *nodes)))
    assert isinstance(last, Found) and last.text == "B"
    assert len(bad) == len(nodes) - 1 and not any(isinstance(one, Found) for one in bad)


def test_a_folder_that_says_nothing_of_what_is_in_it_is_ignored() -> None:
    assert outcomes_of(WebkitBookmarks(), file_of(other=folder("", {"type": "folder", "name": "x"}))) == [
        Ignored("folder")
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"roots": []}',
        b'{"version": 1}',
        b"\xff\xfe{\0}\0",
        b"[" * 100_000,
        b'{"roots": ' * 100_000,
        b'{"roots": {"other": {"children": [' + b'{"children": [' * 100_000 + b"]}" * 100_001 + b"}}",
        b'{"roots": {"other": {"children": [' + b"9" * 5_000 + b"]}}}",
        b'{"roots": NaN}',
        b'{"roots": 1e400}',
    ],
)
def test_a_file_that_has_no_bookmarks_is_refused(content: bytes) -> None:
    with pytest.raises(WrongType):
        [*WebkitBookmarks().records(content, given_file())]


def test_texts_that_cannot_be_stored_are_repaired_and_urls_stay_apart() -> None:
    content = file_of(
        other=folder("", folder("a\ud800", bookmark("x\0y\udfff", "https://\ud800/"), bookmark("z", "https://\ud801/")))
    )

    first, second = found_in(WebkitBookmarks(), content)
    assert (first.text, first.url) == ("x\N{REPLACEMENT CHARACTER}y?", "https://?/")
    assert first.data["folder"] == "other/a?"
    assert first.identity != second.identity


def test_a_mark_at_the_beginning_and_bytes_that_are_no_text_are_no_obstacle() -> None:
    content = file_of(other=folder("", bookmark("A")))

    assert found_in(WebkitBookmarks(), b"\xef\xbb\xbf" + content) == found_in(WebkitBookmarks(), content)
    file = given_file()
    (event,) = found_in(WebkitBookmarks(), content.replace(b'"A"', b'"A\xff"'), file)
    assert (event.text, file.repaired) == ("A\N{REPLACEMENT CHARACTER}", 1)


def test_names_of_folders_that_have_no_end_are_cut() -> None:
    (event,) = found_in(WebkitBookmarks(), file_of(other=folder("", folder("n" * 5_000, bookmark("A")))))

    assert event.data["folder"] == "other/" + "n" * 1_000


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="/"), min_size=1, max_size=9)
TREES = st.recursive(
    st.tuples(NAMES, st.integers(11_644_473_600_000_001, 2 * 10**17)),
    lambda nodes: st.tuples(NAMES, st.lists(nodes, max_size=3)),
    max_leaves=8,
)


def node_of(tree: Any) -> dict[str, Any]:
    name, inside = tree
    if isinstance(inside, list):
        return folder(name, *map(node_of, inside))
    return bookmark(name, f"https://a.example/{name}", str(inside))


def leaves_of(path: str, tree: Any) -> list[tuple[str, str, bytes]]:
    name, inside = tree
    if isinstance(inside, list):
        return [leaf for one in inside for leaf in leaves_of(f"{path}/{name}", one)]
    return [(path, name, f"{inside} https://a.example/{name}".encode())]


@settings(max_examples=60)
@given(st.lists(TREES, max_size=4))
def test_every_bookmark_of_a_tree_comes_back_in_its_folder(trees: list[Any]) -> None:
    events = found_in(WebkitBookmarks(), file_of(other=folder("", *map(node_of, trees))))

    assert [(one.data["folder"], one.text, one.identity) for one in events] == [
        leaf for tree in trees for leaf in leaves_of("other", tree)
    ]


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["children", "type", "url", "date_added", "name"]), x),
    )
)
def test_any_json_is_accounted_for(value: Any) -> None:
    assert isinstance(reasons_in(WebkitBookmarks(), file_of(other={"children": [value]}, more=value)), list)
