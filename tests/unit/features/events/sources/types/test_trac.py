from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.features.events.sources.clocks import EPOCH
from promise_pub.features.events.sources.types.trac import TracTimeline
from promise_pub.sources import Damaged, Found, Ignored, Renewal, WrongType
from tests.unit.features.events.sources.types.wholes import (
    found_in,
    given_file,
    identities_before_the_end,
    outcomes_of,
    reasons_in,
)


def entry(time: str = "19:28", what: str = "changeset", author: str = "joe", number: int = 7) -> str:
    return f"""<dt class="{what}"><a href="/trac/{what}/{number}"><span class="time">{time}</span>
        A {what} <em>[{number}]</em> by <span class="author">{author}</span></a></dt>
        <dd class="{what}">About <a href="/trac/wiki">a page</a> &amp; more</dd>"""


def page(*days: tuple[str, str]) -> bytes:
    listed = "".join(f"<h2>{day}</h2><dl>{entries}</dl>" for day, entries in days)
    return f"""<!DOCTYPE html><html><head><title>Timeline</title></head><body>
        <div id="content" class="timeline"><h1>Timeline</h1>{listed}</div>
        <div id="help"><a href="/trac/wiki/TracTimeline">Help</a></div></body></html>""".encode()


def test_an_entry_has_its_author_its_description_and_the_day_above_it() -> None:
    content = page(
        ("12/16/10: Today", entry()), ("12/15/10:", entry("09:05", "newticket", "ann", 8) + entry("00:00", "wiki"))
    )

    first, second, third = found_in(TracTimeline(), content)
    # Zurich is an hour ahead of UTC on that day.
    assert first == Found(
        at=datetime(2010, 12, 16, 18, 28, tzinfo=UTC),
        text="A changeset [7] by joe",
        url="/trac/changeset/7",
        kind="commit",
        user="joe",
        data={"class": "changeset", "description": "About a page & more"},
        identity=b"12/16/10\n19:28\nchangeset\n/trac/changeset/7",
    )
    assert (second.at, second.user, second.kind) == (datetime(2010, 12, 15, 8, 5, tzinfo=UTC), "ann", None)
    assert second.data["class"] == "newticket"
    assert third.at == datetime(2010, 12, 14, 23, 0, tzinfo=UTC)
    assert (TracTimeline.aliases, TracTimeline.renewal) == (("trac.timeline",), Renewal.TEXT)


@pytest.mark.parametrize(
    "day", ["12/16/10", "12/16/10:", "12/16/10: Today", "2010-12-16: Yesterday", "2010-12-16", "Dec 16, 2010:"]
)
@pytest.mark.parametrize("time", ["19:28", "19:28:00", "07:28 PM", "7:28\N{NARROW NO-BREAK SPACE}PM", "7:28:00 pm"])
def test_days_and_times_are_read_as_trac_writes_them(day: str, time: str) -> None:
    (event,) = found_in(TracTimeline(), page((day, entry(time))))

    assert event.at == datetime(2010, 12, 16, 18, 28, tzinfo=UTC)
    assert "day" not in event.data


@pytest.mark.parametrize(("word", "day"), [("Today", 21), ("Yesterday:", 20), ("today: ", 21)])
def test_a_day_without_a_date_is_counted_from_when_the_file_was_changed_and_says_so(word: str, day: int) -> None:
    # The file was changed on the 21st at half past midnight, by the clock of its zone.
    (event,) = found_in(TracTimeline(), page((word, entry("00:10"))))

    assert event.at == datetime(2026, 11, day, 0, 10, tzinfo=UTC) - timedelta(hours=1)
    assert event.data["day"] == word.strip(": ")
    assert event.identity == f"2026-11-{day}\n00:10\nchangeset\n/trac/changeset/7".encode()


def test_a_page_that_is_saved_on_the_next_day_has_the_same_events() -> None:
    today, later = page(("12/16/10: Today", entry())), page(("12/17/10: Today", ""), ("12/16/10: Yesterday", entry()))

    assert found_in(TracTimeline(), today) == found_in(TracTimeline(), later)


def test_entries_of_others_are_ignored_where_the_source_is_about_a_user() -> None:
    content = page(("12/16/10:", entry() + entry(author="ann") + entry(author="joey")))

    ignored, found, other = outcomes_of(TracTimeline(), content, given_file(user="ann"))
    assert ignored == other == Ignored("of another user")
    assert isinstance(found, Found) and found.user == "ann"


def test_names_of_newer_versions_are_authors_once() -> None:
    (event,) = found_in(TracTimeline(), page(("12/16/10:", entry(author='<span class="trac-author">joe</span>'))))

    assert (event.user, event.text) == ("joe", "A changeset [7] by joe")


def test_tags_need_not_be_closed() -> None:
    content = b"""<h2>12/16/10:<dl><dt class=wiki><a href="/w"><span class=time>19:28</span>One <span class=author>joe</span>
        <dd>About<dt class=wiki><a href="/v"><span class=time>19:27</span>Two<h2>12/15/10:
        <dt class=wiki><span class=time>10:00</span>Three"""

    assert [
        (one.text, one.url, one.user, one.data.get("description")) for one in found_in(TracTimeline(), content)
    ] == [
        ("One joe", "/w", "joe", "About"),
        ("Two", "/v", None, None),
        ("Three", None, None, None),
    ]


@pytest.mark.parametrize(
    "day", ["", "13/16/10", "02/30/10", "0000-12-16", "16. Dezember 2010", "12/16/1969:", "1969-12-31:", "x" * 100_000]
)
def test_a_day_that_is_none_costs_its_entries(day: str) -> None:
    outcomes = outcomes_of(TracTimeline(), page((day, entry()), ("12/16/10:", entry())))

    assert [isinstance(one, Found) for one in outcomes] == [False, True]


@pytest.mark.parametrize("time", ["", "25:00", "19:60", "19.28", "noon", "19:28 and more", "9" * 5_000])
def test_a_time_that_is_none_costs_its_entry(time: str) -> None:
    assert len(reasons_in(TracTimeline(), page(("12/16/10:", entry(time) + entry())))) == 1


def test_a_list_that_is_no_timeline_is_no_entry() -> None:
    with pytest.raises(WrongType, match="no timeline"):
        [*TracTimeline().records(b"<h2>12/16/10</h2><dl><dt>A term</dt><dd>Its meaning</dd></dl>", given_file())]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<p>A page</p>", b"{}"])
def test_a_file_without_a_timeline_is_refused(content: bytes) -> None:
    with pytest.raises(WrongType, match="no timeline"):
        [*TracTimeline().records(content, given_file())]


def test_a_timeline_may_be_empty() -> None:
    assert outcomes_of(TracTimeline(), page()) == []


def test_a_page_that_is_cut_anywhere_has_the_entries_before() -> None:
    content = page(("12/16/10: Today", entry()), ("12/15/10:", entry("09:05", "wiki")))
    whole = identities_before_the_end(TracTimeline(), content)

    assert len(whole) == 2
    for cut in range(len(content)):
        part = identities_before_the_end(TracTimeline(), content[:cut])
        # One that is cut itself may not have got to its link or its time.
        assert part[:-1] == whole[: len(part)][:-1]


@pytest.mark.parametrize(
    "part", ["<dl>", "<dt>", "<dt class=x>", "<span class=author>", "<h2>", "<a href=x>", "<dd>", "<b>"]
)
def test_tags_without_end_cost_no_entry_before_them(part: str) -> None:
    content = page(("12/16/10:", entry())) + part.encode() * 50_000

    assert identities_before_the_end(TracTimeline(), content) == [b"12/16/10\n19:28\nchangeset\n/trac/changeset/7"]


def test_a_tag_that_has_no_end_is_told_after_the_entries_before_it() -> None:
    read = []
    with pytest.raises(Damaged):
        for record in TracTimeline().records(page(("12/16/10:", entry())) + b'<a href="', given_file()):
            read.append(record["time"])
    assert read == ["19:28"]


MOMENTS = st.integers(10**7, 3 * 10**9).map(lambda second: EPOCH + timedelta(seconds=second))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)


@settings(max_examples=80)
@given(st.lists(st.tuples(MOMENTS, NAMES, st.integers(0, 99)), max_size=5))
def test_every_entry_comes_back(entries: list[tuple[datetime, str, int]]) -> None:
    content = page(
        *((f"{at:%Y-%m-%d}:", entry(f"{at:%H:%M:%S}", "wiki", escape(name), number)) for at, name, number in entries)
    )
    file = given_file()

    assert [(one.user, one.url) for one in found_in(TracTimeline(), content, file)] == [
        (name, f"/trac/wiki/{number}") for _, name, number in entries
    ]
