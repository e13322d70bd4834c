"""Events of a file: which lines are taken, which are refused and how, and that the same line is the same event."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from promise_pub.features.journal import importing
from promise_pub.features.journal.errors import EventsRefused
from promise_pub.features.journal.event_columns import is_indexable
from promise_pub.features.journal.importing import import_events, parse_line, read_events
from tests.journal.fake_reader import FakeReader

LINE = {"topic": "a", "body": "1"}


def a_line(**members: Any) -> bytes:
    return json.dumps({**LINE, **members}).encode()


def keys_of(lines: list[bytes]) -> list[UUID]:
    return [event.key for batch in read_events(io.BytesIO(b"\n".join(lines)), []) for _, event in batch]


def test_a_line_needs_a_topic_and_a_body_alone() -> None:
    event = parse_line(b'\xef\xbb\xbf{"topic": "a b.*", "body": "\\u0000\xc3\xab"}\r\n', Counter())
    assert (event.topic, event.body, event.source) == ("a b.*", b"\0\xc3\xab", "import")
    assert (event.at, event.sender, event.headers) == (None, None, {})


def test_a_line_is_the_same_event_wherever_it_stands_and_each_of_equal_lines_is_one() -> None:
    lines = [a_line(body=body) for body in "abcbb"]
    keys = keys_of(lines)
    assert len({*keys}) == 5
    assert keys_of([b"\xef\xbb\xbf" + lines[1], *lines[2:]]) == keys[1:]
    assert keys_of([lines[0], a_line(body="another"), *lines[1:]]) == [
        keys[0],
        *keys_of([a_line(body="another")]),
        *keys[1:],
    ]
    assert keys_of([b" " + lines[0] + b"\r", a_line(key=str(UUID(int=7)))]) == [keys[0], UUID(int=7)]


async def test_a_file_that_is_imported_again_without_its_bad_line_adds_only_what_is_new() -> None:
    journal = FakeReader()
    lines = [a_line(body=body) for body in "abb"] + [b"bad"] + [a_line(body=body) for body in "bc"]
    with pytest.raises(EventsRefused):
        await import_events(journal, io.BytesIO(b"\n".join(lines)), "events.jsonl")
    del lines[3]
    for new in (2, 0):
        told = await import_events(journal, io.BytesIO(b"\n".join(lines)), "events.jsonl")
        assert told == f"5 events imported, {new} of them new"
    # Also where a line before all that was imported goes.
    assert await import_events(journal, io.BytesIO(b"\n".join(lines[1:])), "x") == "4 events imported, 0 of them new"


def test_no_line_is_taken_that_is_too_long_for_an_index() -> None:
    for name in ("subject", "actor"):
        assert is_indexable(parse_line(a_line(**{name: "\N{CRAB}" * 500}), Counter()))
        with pytest.raises(ValueError, match=f"{name} cannot be"):
            parse_line(a_line(**{name: "\N{CRAB}" * 500 + "a"}), Counter())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "is no JSON that can be used"),
        (b"[1]", "is not a JSON object"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "is no JSON that can be used"),
        (b'{"body": ""}', "topic is missing"),
        (b'{"topic": "a"}', "body is missing"),
        (a_line(more=1), "'more' is not known: an event has key, seq"),
        (a_line(body_base64="YQ=="), "body and body_base64 cannot be given together"),
        (a_line(body=None, body_base64="?"), "body_base64 cannot be '?'"),
        (a_line(body=1), "body cannot be '1'"),
        (a_line(body="\ud800"), "body cannot be"),
        (a_line(key="x"), "key cannot be 'x'"),
        (a_line(topic="a" * 256), "topic cannot be"),
        (a_line(topic="\0"), "topic cannot be"),
        (a_line(sender="\0"), "sender cannot be"),
        (a_line(subject="a" * 3000), "subject cannot be"),
        (a_line(actor=["a"]), "actor cannot be"),
        (a_line(at="soon"), "at cannot be 'soon'"),
        (a_line(at="0001-01-01T00:00:00Z"), "at cannot be"),
        (a_line(at=7), "at cannot be '7'"),
        (a_line(headers=[]), "headers cannot be '[]'"),
        (a_line(headers={"a": "\0" * 11_000}), "headers cannot be"),
    ],
)
def test_a_line_that_is_no_event_is_refused(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        parse_line(line, Counter())
    assert len(str(raised.value)) < 300


def test_batches_are_small_and_end_before_the_first_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "BATCH_BYTES", 70)
    large = a_line(body="x" * 50)
    lines = [a_line(), a_line(), large, b"", a_line(), b"bad", a_line(), b"worse"]
    problems: list[str] = []
    batches = [[line for line, _ in batch] for batch in read_events(io.BytesIO(b"\n".join(lines)), problems)]
    assert batches == [[1, 2], [3], [5]]
    assert [problem.split(":")[0] for problem in problems] == ["line 6", "line 8"]


def test_a_file_without_line_ends_and_one_of_mistakes_alone_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_LINE", 100)
    problems: list[str] = []
    file = io.BytesIO(b"x" * 1000)
    assert list(read_events(file, problems)) == []
    assert problems == ["line 1: is longer than 100 bytes; the rest of the file was not read"] and file.tell() == 101
    problems.clear()
    assert list(read_events(io.BytesIO(b"bad\n" * 1000), problems)) == []
    assert len(problems) == importing.MAX_PROBLEMS


async def test_a_line_that_the_database_refuses_is_named_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 3)
    journal = FakeReader()
    journal.refuses = b"no"
    file = io.BytesIO(b"\n".join([a_line(), a_line(body="no"), a_line(), a_line()]))
    with pytest.raises(EventsRefused) as raised:
        await import_events(journal, file, "events.jsonl")
    assert raised.value.message.splitlines() == [
        "events.jsonl: 2 events imported, 2 of them new, and not all. Correct these lines, then import it again:",
        "line 2: PostgreSQL refused it",
    ]
    assert len(journal.events) == 2
