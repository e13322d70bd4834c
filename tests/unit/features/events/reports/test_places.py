from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.reports.places import (
    Domain,
    Group,
    PlaceCount,
    UrlParts,
    count_domains,
    group_projects,
    group_questions,
    group_wikipedia,
    split_url,
)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://example.com/a/b?q=1&r#top", UrlParts("https", "example.com", None, "/a/b", "q=1&r", "top")),
        ("HTTP://Example.COM:8080", UrlParts("http", "example.com:8080", 8080, "", "", "")),
        ("ftp://ann:secret@[::1]:21/x%20y", UrlParts("ftp", "[::1]:21", 21, "/x%20y", "", "")),
        ("http://[::1", UrlParts("http", "[::1", None, "", "", "")),
        ("http://a:99999/", UrlParts("http", "a:99999", None, "/", "", "")),
        ("http://a:٣/", UrlParts("http", "a:٣", None, "/", "", "")),
        ("file:///etc/passwd", UrlParts("file", "", None, "/etc/passwd", "", "")),
        ("http://a?b://c#d?e", UrlParts("http", "a", None, "", "b://c", "d?e")),
        ("://", UrlParts("", "", None, "", "", "")),
    ],
)
def test_a_url_is_taken_apart_as_it_stands(url: str, parts: UrlParts) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize("text", ["", "example.com/a", "mailto:ann@example.com", "javascript:alert('://')", "a/b://c"])
def test_what_does_not_begin_as_a_url_is_none(text: str) -> None:
    assert split_url(text) is None


@given(st.text(alphabet=st.sampled_from("ht:/?#@[]%2.9\n\0é"), max_size=60))
def test_nothing_that_a_file_says_is_a_url_raises(text: str) -> None:
    parts = split_url("http://" + text)

    assert parts and parts.scheme == "http" and "@" not in parts.netloc
    for group in (group_projects, group_wikipedia, group_questions, count_domains):
        group([PlaceCount("http://" + text, 1)])


def counts(*urls: str) -> list[PlaceCount]:
    """Returns these places, the first with one event, the next with two, and so on."""
    return [PlaceCount(url, n) for n, url in enumerate(urls, 1)]


def test_domains_are_in_the_order_of_their_events_then_of_their_names() -> None:
    places = counts("http://b.org/1", "http://a.org/1", "http://b.org/2", "http://c.org:81/", "no url", "file:///x")

    assert count_domains(places) == [Domain("b.org", 2, 4), Domain("c.org:81", 1, 4), Domain("a.org", 1, 2)]
    assert not count_domains([])


def test_places_of_a_project_are_one_group_in_whatever_order_they_come() -> None:
    places = counts(
        "https://github.com/ann/tool/issues/1",
        "https://www.github.com/bob/tool",
        "https://github.com/ann/tool",
        "https://code.google.com/p/old/wiki",
        "https://git.sr.ht/~eve/x/tree",
    )

    assert group_projects(places) == [
        Group("git.sr.ht/~eve/x", ("https://git.sr.ht/~eve/x/tree",), 5),
        Group("code.google.com/p/old", ("https://code.google.com/p/old/wiki",), 4),
        Group("github.com/ann/tool", ("https://github.com/ann/tool", "https://github.com/ann/tool/issues/1"), 4),
        Group("github.com/bob/tool", ("https://www.github.com/bob/tool",), 2),
    ]


def test_slashes_more_than_needed_change_no_project() -> None:
    assert [one.key for one in group_projects(counts("https://github.com///ann//tool//issues"))] == [
        "github.com/ann/tool"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/",
        "https://github.com/ann/",
        "https://github.com/settings/profile",
        "https://code.google.com/search/x",
        "https://example.com/ann/tool",
        "https://notgithub.com/ann/tool",
    ],
)
def test_what_names_no_owner_and_repository_is_no_project(url: str) -> None:
    assert not group_projects(counts(url))


def test_pages_of_wikipedia_are_grouped_by_language_and_title_also_those_for_phones() -> None:
    places = counts(
        "https://de.wikipedia.org/wiki/Z%C3%BCrich",
        "https://de.m.wikipedia.org/wiki/Zürich?action=raw",
        "https://en.wikipedia.org/wiki/Message_queue#Usage",
        "https://notwikipedia.org/wiki/No",
        "https://en.wikipedia.org/w/index.php",
        "https://en.wikipedia.org/wiki/",
    )

    assert group_wikipedia(places) == [
        Group(
            "de.wikipedia.org/Zürich",
            ("https://de.m.wikipedia.org/wiki/Zürich?action=raw", "https://de.wikipedia.org/wiki/Z%C3%BCrich"),
            3,
        ),
        Group("en.wikipedia.org/Message queue", ("https://en.wikipedia.org/wiki/Message_queue#Usage",), 3),
    ]


def test_questions_are_grouped_by_their_number_or_their_words() -> None:
    places = counts(
        "https://stackoverflow.com/questions/11/how-to?tab=votes",
        "https://stackoverflow.com/questions/11",
        "https://stackoverflow.com/questions/tagged/python",
        "https://www.quora.com/Why-queues",
        "https://www.quora.com/profile/Ann",
        "https://webmasters.stackexchange.com/questions/7/x",
        "https://stackoverflow.com/users/1/ann",
    )

    assert [(group.key, group.events) for group in group_questions(places)] == [
        ("webmasters.stackexchange.com/questions/7", 6),
        ("quora.com/Why-queues", 4),
        ("stackoverflow.com/questions/11", 3),
    ]
