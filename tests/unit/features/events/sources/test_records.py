from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.sources.finding import MAX_REASON, Judged, Rejected
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.identity import key_of
from promise_pub.features.events.sources.reading import BLOCK, ByteStream
from promise_pub.features.events.sources.records import read_records
from promise_pub.sources import MAX_WHOLE, Damaged, Found, Given, Ignored, SourceType, WrongType
from tests.unit.features.events.sources.sample_types import Headed, Listed, Plain, Sized, Visits


def file() -> GivenFile:
    return GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC))


def records(source: SourceType[Any], content: bytes, position: int = 0, line: int = 1) -> Iterator[Judged]:
    return read_records(source, ByteStream(io.BytesIO(content), 1 << 30), file(), position, line)


def told(found: Iterator[Judged]) -> list[str]:
    """Returns the texts of events, in brackets the reasons of all other records, and the damage at the end."""
    words = []
    try:
        for one in found:
            outcome = one.outcome
            words.append(outcome.text if isinstance(outcome, Found) else f"({outcome[0]})")
    except Damaged as damage:
        words.append(f"damaged: {damage}")
    return words


def test_records_before_a_cut_are_taken_and_then_the_damage_is_told() -> None:
    packed = gzip.compress(b"1 first\n" + b"2 second\n" * 3) + gzip.compress(b"3 third\n")

    assert told(records(Plain(), packed[:-9])) == [
        "first",
        "second",
        "second",
        "second",
        "third",
        "damaged: It is cut off: the packed file ends within its content.",
    ]


def test_lines_are_read_on_after_a_record_with_the_header_of_their_file() -> None:
    content = b"\xef\xbb\xbf#word \n1 a\n2 b\n"

    assert told(records(Headed(), content)) == ["(header)", "word a", "word b"]
    assert told(records(Headed(), content, 14, 3)) == ["word b"]
    assert [(one.position, one.line) for one in records(Headed(), content, 14, 3)] == [(14, 3)]


def test_a_header_that_no_beginning_holds_is_refused_whether_a_file_is_read_on_or_not() -> None:
    content = b"#" + b"x" * BLOCK + b"\n1 a\n"
    for position in (0, BLOCK + 2):
        with pytest.raises(WrongType, match="header"):
            next(records(Headed(), content, position))
    assert told(records(Headed(), b"")) == []


def test_what_was_added_to_a_file_does_not_make_it_one_of_another_type() -> None:
    assert told(records(Plain(), b"1 a\nx y\n", 4, 2)) == ["(the time is no number)"]
    assert told(records(Sized(), b"0001abcdxxxx(---", 8, 2)) == ["(it has other bytes than letters)"]


def test_a_file_that_ends_before_the_position_is_told() -> None:
    with pytest.raises(EOFError):
        next(records(Plain(), b"1 a\n", 5))


def test_records_of_one_size_are_found_wherever_chunks_end() -> None:
    found = [*records(Sized(), b"0001abcd" * 20_000 + b"0000none" + b"0002----" + b"0003cut")]

    assert [one.position for one in found] == [*range(0, 8 * 20_003, 8)]
    assert [one.line for one in found] == [*range(1, 20_004)]
    assert {one.key for one in found[:20_000]} == {key_of("sized", b"0001abcd")}
    assert told(iter(found[19_999:])) == [
        "abcd",
        "(nothing)",
        "(it has other bytes than letters)",
        "(the file ends after 7 of 8 bytes of the record)",
    ]
    assert (found[-1].end, found[-1].ended, found[-2].ended) == (8 * 20_002 + 7, False, True)


@pytest.mark.parametrize("size", [0, -1, 2_000_000])
def test_a_size_that_no_record_has_is_refused(size: int) -> None:
    class Odd(Sized):
        def size(self, beginning: bytes) -> int:
            return size

    with pytest.raises(WrongType, match="long"):
        next(records(Odd(), b"0001abcd"))
    assert told(records(Odd(), b"")) == []


def test_a_type_that_fails_to_tell_its_size_is_told() -> None:
    class Odd(Sized):
        def size(self, beginning: bytes) -> int:
            return beginning[1_000]

    with pytest.raises(WrongType, match="the type failed with IndexError"):
        next(records(Odd(), b"0001abcd"))


def test_records_of_a_whole_file_are_numbered() -> None:
    found = [*records(Listed(), b'[[1, "a"], [-1, "b"], 7, [2, "c"]]')]

    assert [(one.position, one.end, one.line) for one in found] == [(0, 1, 1), (1, 2, 2), (2, 3, 3), (3, 4, 4)]
    assert [type(one.outcome) for one in found] == [Found, Rejected, Rejected, Found]
    assert [one.outcome.shown for one in found if isinstance(one.outcome, Rejected)] == [b'[-1, "b"]', b"7"]
    assert [one.key for one in found] == [
        key_of("listed", raw) for raw in (b'[1, "a"]', b'[-1, "b"]', b"7", b'[2, "c"]')
    ]


def test_a_whole_file_that_is_damaged_gives_what_came_before() -> None:
    assert told(records(Listed(), b'[[1, "a"], null, [2, "b"]]')) == ["a", "damaged: It goes on with nothing."]
    cut = gzip.compress(b'[[1, "a"]]')[:-10]
    assert told(records(Listed(), cut)) == ["damaged: It is cut off: the packed file ends within its content."]


def test_a_file_that_is_too_long_to_be_read_as_a_whole_is_told() -> None:
    packed = gzip.compress(b"[" + b" " * MAX_WHOLE, 1)

    assert told(records(Listed(), packed)) == [
        "damaged: It is longer than 67,108,864 bytes, and can only be read as a whole."
    ]


def test_a_whole_file_of_another_type_is_refused() -> None:
    for content, reason in (
        (b"[", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"7", "no list"),
        (b"[7, 8]", "2 records"),
    ):
        with pytest.raises(WrongType, match=reason):
            next(records(Listed(), content))


def test_a_type_that_fails_between_records_ends_the_file_there() -> None:
    class Odd(Listed):
        def records(self, content: bytes, given: Given) -> Iterator[Any]:
            yield from super().records(content, given)
            raise KeyError("more")

    assert told(records(Odd(), b'[[1, "a"]]')) == ["a", "damaged: the type failed with KeyError: 'more'"]
    with pytest.raises(WrongType, match="the type failed with KeyError"):
        next(records(Odd(), b"[]"))


def test_what_json_cannot_show_is_rejected_all_the_same() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    class Odd(Listed):
        def records(self, content: bytes, given: Given) -> Iterator[Any]:
            yield from ([1, "a"], [deep], {"a": b"\xff"})

    rejected = [one.outcome.shown for one in records(Odd(), b"") if isinstance(one.outcome, Rejected)]
    assert rejected == [b"list", b'{"a": "ff"}']


class Unheard(Exception):
    def __str__(self) -> str:
        raise ValueError("never")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (KeyError("x" * 10_000), "the type failed with KeyError: 'xxx"),
        (RecursionError(), "the type failed with RecursionError: "),
        (MemoryError(), "the type failed with MemoryError: "),
        (WrongType("all"), "the type failed with WrongType: all"),
        (StopIteration(), "the type failed with StopIteration: "),
        (Unheard(), "the type failed with Unheard: it cannot be told, for ValueError"),
        (None, "the type returned NoneType, no event"),
        (Found(datetime(2026, 1, 1), "a"), "the type returned a time that has no zone"),  # noqa: DTZ001  as a type might
        (
            Found(datetime(1601, 1, 1, tzinfo=UTC), "a"),
            "the type returned a time that has no zone, or is not after 1970",
        ),
        (Found("2026", "a"), "the type failed with AttributeError"),  # type: ignore[arg-type]
        (Found(datetime(2026, 1, 1, tzinfo=UTC), b"a"), "the type returned an event whose text"),  # type: ignore[arg-type]
    ],
)
def test_whatever_a_type_raises_or_returns_costs_one_record(failure: Any, words: str) -> None:
    class Odd(Plain):
        def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
            if record["text"] != b"odd":
                return super().event(record, given)
            if isinstance(failure, Exception):
                raise failure
            return failure  # type: ignore[no-any-return]

    first, odd, last = (one.outcome for one in records(Odd(), b"1 a\n2 odd\n3 c\n"))

    assert isinstance(first, Found) and isinstance(last, Found)
    assert isinstance(odd, Rejected) and odd.reason.startswith(words) and len(odd.reason) <= MAX_REASON
    assert odd.shown == b"2 odd"


def test_a_type_is_read_from_what_its_frame_reads(tmp_path: Path) -> None:
    for source, given in ((Plain(), tmp_path), (Visits(), ByteStream(io.BytesIO(), 1)), (Listed(), tmp_path)):
        with pytest.raises(TypeError, match="cannot be read from"):
            next(read_records(source, given, file()))
