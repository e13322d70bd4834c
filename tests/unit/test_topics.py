"""Patterns of topics."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given

from promise_pub.errors import BadParameter
from promise_pub.topics import check_pattern, is_exact, matches, pattern_as_regex
from tests.journal.patterns import matches_naively, patterns, topics


@pytest.mark.parametrize(
    ("pattern", "some", "others"),
    [
        ("run.*", ["run.ended", "run."], ["run", "run.a.b", "xrun.ended", ""]),
        ("run.#", ["run", "run.ended", "run.a.b", "run.."], ["runs", "arun", ""]),
        ("#", ["", ".", "a", "a.b"], []),
        ("*", ["a", "é"], ["", "a.b", "."]),
        ("a.#.b", ["a.b", "a.x.b", "a..b", "a.x.y.b"], ["a", "b", "ab", "a.xb"]),
        ("a*", ["a*"], ["ab", "a"]),
        ("", [""], ["a", "."]),
        ("A.b", ["A.b"], ["a.b", "Axb"]),
    ],
)
def test_a_pattern_matches_as_in_amqp(pattern: str, some: list[str], others: list[str]) -> None:
    assert [topic for topic in some + others if matches(pattern, topic)] == some


@given(patterns, topics)
@example("#.*.#", "")
@example("a.#", "a")
def test_matching_the_regular_expression_and_the_definition_agree(pattern: str, topic: str) -> None:
    expected = matches_naively(pattern.split(".") if pattern else [], topic.split(".") if topic else [])
    assert matches(pattern, topic) == expected
    dotted = f".{topic}" if topic else ""
    assert bool(re.search(pattern_as_regex(pattern), dotted)) == expected
    if is_exact(pattern):
        assert expected == (pattern == topic)


@pytest.mark.parametrize("pattern", ["a" * 255, "é" * 127, "", "#", "a b.c", "\N{CRAB}.#"])
def test_what_a_topic_can_be_is_a_pattern(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a" * 256, "at most 255 bytes"),
        ("é" * 128, "at most 255 bytes"),
        ("a\0", "control characters"),
        ("a\nb", "control characters"),
        ("\x7f", "control characters"),
        ("\x85", "control characters"),
        ("\ud800", "control characters"),
    ],
)
def test_what_no_topic_can_be_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(BadParameter, match=why):
        check_pattern(pattern)
