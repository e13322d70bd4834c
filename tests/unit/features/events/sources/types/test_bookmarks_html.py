from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.types.bookmarks import BookmarksHtml
from promise_pub.sources import Damaged, Found, Identity, Renewal, WrongType
from tests.growth import MOST, assert_linear
from tests.unit.features.events.sources.types.wholes import (
    found_in,
    given_file,
    identities_before_the_end,
    outcomes_of,
    reasons_in,
)

HEAD = b"<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n"
DELICIOUS = (
    HEAD
    + b"""<DL><p><DT><A HREF="https://a.example/?x=1&amp;y=2" ADD_DATE="1285972779" PRIVATE="1" TAGS="b,a,for:bob,b, c d">
A &amp;amp; B</A>
<DT><A HREF="https://b.example/" ADD_DATE="1276760483" PRIVATE="0" TAGS="">Second</A>
<DD>&quot;Said&quot;
so
<DT><A HREF="https://c.example/" ADD_DATE="1276760484">Third</A>
</DL><p>"""
)
FOLDERS = (
    HEAD
    + b"""<DL><p>
    <DT><H3 ADD_DATE="1764547200" PERSONAL_TOOLBAR_FOLDER="true">Bar</H3>
    <DD>of no bookmark
    <DL><p>
        <DT><A HREF="https://a.example/" ADD_DATE="1764547200" ICON="data:x">A</A>
        <DT><H3>In &lt;it&gt;</H3>
        <DL><p>
            <DT><A HREF="https://b.example/" ADD_DATE="1764547201">B</A>
        </DL><p>
        <DT><A HREF="https://c.example/" ADD_DATE="1764547202">C</A>
    </DL><p>
    <HR>
    <DT><A HREF="https://d.example/" ADD_DATE="1764547203">D</A>
</DL>
"""
)


def test_a_bookmark_of_delicious_has_its_tags_its_comment_and_no_recipients() -> None:
    first, second, third = found_in(BookmarksHtml(), DELICIOUS)

    assert first == Found(
        at=datetime(2010, 10, 1, 22, 39, 39, tzinfo=UTC),
        text="A &amp; B",
        url="https://a.example/?x=1&y=2",
        tags=["b", "a", "c d"],
        data={"private": True},
        identity=b"1285972779 https://a.example/?x=1&y=2",
    )
    assert (second.tags, second.data) == ([], {"private": False, "comment": '"Said" so'})
    assert (third.tags, third.data) == ([], {})
    assert BookmarksHtml.aliases == ("delicious.bookmarks",)
    assert (BookmarksHtml.identity, BookmarksHtml.renewal) == (Identity.ONE, Renewal.TEXT)


@pytest.mark.parametrize(
    "trailer", [b"", b"<!-- a server, Thu Dec 16 01:50:52 UTC 2010 -->\n", b"</DL></body></html>", b"\n&am"]
)
def test_what_follows_the_list_does_not_matter(trailer: bytes) -> None:
    assert found_in(BookmarksHtml(), DELICIOUS + trailer) == found_in(BookmarksHtml(), DELICIOUS)


def test_bookmarks_of_browsers_have_their_folders() -> None:
    assert [(one.text, one.data.get("folder")) for one in found_in(BookmarksHtml(), FOLDERS)] == [
        ("A", "Bar"),
        ("B", "Bar/In <it>"),
        ("C", "Bar"),
        ("D", None),
    ]


@pytest.mark.parametrize(
    ("add_date", "at"),
    [
        ("1764547200", datetime(2025, 12, 1, tzinfo=UTC)),
        ("1764547200123", datetime(2025, 12, 1, 0, 0, 0, 123000, UTC)),
        ("1764547200123456", datetime(2025, 12, 1, 0, 0, 0, 123456, UTC)),
        (" 1 ", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("99999999999", datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        ("100000000000", datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        ("100000000000000", datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    ],
)
def test_times_are_in_seconds_or_less_by_their_size(add_date: str, at: datetime) -> None:
    (event,) = found_in(BookmarksHtml(), f'<DL><DT><A HREF="x:y" ADD_DATE="{add_date}">A</A>'.encode())

    assert event.at == at


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        'HREF="https://a.example/"',
        'HREF="https://a.example/" ADD_DATE',
        'HREF="" ADD_DATE="1764547200"',
        "ADD_DATE=1764547200",
        *(
            f'HREF="https://a.example/" ADD_DATE="{at}"'
            for at in ("0", "-1", "soon", "1e400", "1.5", "9" * 20, "9" * 5_000)
        ),
    ],
)
def test_a_bookmark_without_a_url_or_a_time_costs_itself(attributes: str) -> None:
    assert len(reasons_in(BookmarksHtml(), FOLDERS + f"<DL><DT><A {attributes}>X</A></DL>".encode())) == 1


def test_tags_need_not_be_closed_and_the_first_of_two_attributes_counts() -> None:
    content = b"<dl><dt><a href=https://a.example/ href=https://z.example/ add_date=1764547200>A\n<dt><a href='x:1' add_date=5>B<b>C"

    assert [(one.text, one.url) for one in found_in(BookmarksHtml(), content)] == [
        ("A", "https://a.example/"),
        ("BC", "x:1"),
    ]


def test_an_encoding_that_is_said_is_read_and_utf_8_is_not_turned_to_question_marks() -> None:
    content = '<DL><DT><A HREF="https://a.example/é" ADD_DATE="1764547200" TAGS="été">Zürich</A>'

    (event,) = found_in(BookmarksHtml(), content.encode())
    assert (event.text, event.url, event.tags) == ("Zürich", "https://a.example/é", ["été"])
    (latin,) = found_in(BookmarksHtml(), content.encode("latin-1"), given_file(encoding="latin-1"))
    assert (latin.text, latin.tags) == ("Zürich", ["été"])


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"no list", b"<html><p>A page</p></html>", b"{}", b"PK\x03\x04" * 50]
)
def test_a_file_without_a_list_is_refused(content: bytes) -> None:
    with pytest.raises(WrongType, match="no list of bookmarks"):
        [*BookmarksHtml().records(content, given_file())]


@pytest.mark.parametrize("content", [HEAD, b"<DL></DL>"])
def test_a_list_may_be_empty(content: bytes) -> None:
    assert outcomes_of(BookmarksHtml(), content) == []


def test_folders_without_end_are_refused_after_what_stands_before_them() -> None:
    source, read = BookmarksHtml(), []
    content = DELICIOUS + b"<DL>" * 10_000_000

    with pytest.raises(Damaged, match="nested more than 100 deep"):
        for record in source.records(content, given_file()):
            read.append(record["title"])
    assert read == ["A &amp; B", "Second", "Third"]
    # As many that are closed are none within each other.
    assert len(found_in(source, b"<DL></DL>" * 1_000 + b"<DL>" * 99 + DELICIOUS)) == 3


def test_lists_that_are_closed_once_too_often_are_read() -> None:
    assert len(found_in(BookmarksHtml(), b"</DL>" * 1_000 + FOLDERS)) == 4


@pytest.mark.parametrize(
    "end", [b'<A HREF="https://z.example/', b"<!-- never", b"<", b"<A HREF=x ADD_DATE=1764547200", b"</DL"]
)
def test_a_file_that_ends_within_a_tag_is_damaged_after_what_stands_before(end: bytes) -> None:
    read = []
    with pytest.raises(Damaged, match="within a tag"):
        for record in BookmarksHtml().records(DELICIOUS + end, given_file()):
            read.append(record["url"])
    assert read == ["https://a.example/?x=1&y=2", "https://b.example/", "https://c.example/"]


def test_a_declaration_that_nobody_knows_is_told() -> None:
    with pytest.raises(Damaged, match="declaration"):
        [*BookmarksHtml().records(DELICIOUS + b"<![unheard[of]]>", given_file())]


@pytest.mark.parametrize(
    "part",
    [
        "<a ",
        '<a "',
        "<!--",
        "<![CDATA[",
        "<a b=",
        "<a/",
        "&#",
        "</",
        "<?",
        "<!",
        '<a b="',
        "<a <",
        "</a",
        "&a",
        "<script>",
        "<title>",
    ]
    + [
        '<a b="x>',
        "<!-- >",
        "<dt>",
        "<dd>",
        "<h3>",
        "<h3>x",
        "<a>",
        "</dl>",
        "&amp;",
        "<dl></dl>",
        "<a href=x add_date=5>x",
    ],
)
def test_hostile_html_takes_time_that_grows_with_its_size(part: str) -> None:
    def work(size: int) -> Callable[[], object]:
        content = HEAD + (part * (size // len(part) + 1)).encode()
        return lambda: identities_before_the_end(BookmarksHtml(), content)

    assert_linear(work, 4 * MOST, part)


def test_a_tag_that_never_ends_is_given_up() -> None:
    with pytest.raises(Damaged, match="longer than"):
        [*BookmarksHtml().records(DELICIOUS + b'<A HREF="' + b"x" * 3_000_000, given_file())]


def test_names_and_paths_of_folders_are_bounded() -> None:
    content = b"".join(b"<H3>" + b"n" * 10_000 + b"</H3><DL>" for _ in range(100))
    (event,) = found_in(BookmarksHtml(), content + b'<A HREF="x:y" ADD_DATE="5">A</A>')

    assert len(event.data["folder"]) == 100 * 1_001 - 1


def test_a_file_that_is_cut_anywhere_has_the_bookmarks_before() -> None:
    for content in (DELICIOUS, FOLDERS):
        whole = identities_before_the_end(BookmarksHtml(), content)
        for cut in range(len(content)):
            part = identities_before_the_end(BookmarksHtml(), content[:cut])
            assert part == whole[: len(part)]


@settings(max_examples=80)
@given(st.binary(max_size=300) | st.text("<>!-=&;\"'/ adlhtDTDLH3REF[]?", max_size=200).map(str.encode))
@example(b"<![")
@example(b"<dl><a href='&#xD800;' add_date=5>&#0;&#x110000;")
def test_whatever_follows_costs_no_bookmark_before_it(rest: bytes) -> None:
    whole = identities_before_the_end(BookmarksHtml(), DELICIOUS)

    assert identities_before_the_end(BookmarksHtml(), DELICIOUS + rest)[: len(whole)] == whole


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(
            WORDS,
            WORDS,
            st.integers(1, 10**11 - 1),
            st.lists(WORDS.filter(lambda word: "," not in word and not word.startswith("for:")), unique=True),
        ),
        max_size=5,
    )
)
def test_every_bookmark_comes_back(bookmarks: list[tuple[str, str, int, list[str]]]) -> None:
    lines = [
        f'<DT><A HREF="{escape(url)}" ADD_DATE="{at}" TAGS="{escape(",".join(tags))}">{escape(title)}</A>\n'
        for url, title, at, tags in bookmarks
    ]

    events = found_in(BookmarksHtml(), HEAD + b"<DL><p>" + "".join(lines).encode() + b"</DL><p>")
    assert [(one.url, one.text, int(one.at.timestamp()), one.tags) for one in events] == bookmarks
