from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.finding import (
    MAX_REASON,
    MAX_SHOWN,
    TRIED,
    Judged,
    Rejected,
    find_records,
    read_lines,
)
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.identity import key_of
from promise_pub.sources import MAX_RECORD, Damaged, Found, Given, Ignored, Lines, NoRecord, WrongType
from tests.unit.features.events.sources.sample_types import Headed, Plain


class Troubled(Plain):
    """The same, of which some texts are comments, or cannot be read."""

    name = "troubled"

    def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
        if record["text"] == b"comment":
            return Ignored("a comment")
        if record["text"] == b"fail":
            raise KeyError("x" * 10_000)
        if record["text"] == b"deep":
            raise RecursionError
        return super().event(record, given)


class Null(Plain):
    """The same with lines that end with NUL."""

    name = "null"

    def __init__(self) -> None:
        super().__init__()
        self.ends = b"\0"


def file() -> GivenFile:
    return GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC))


def read(content: bytes, source: Lines | None = None, size: int = 7, position: int = 0, line: int = 1) -> list[Judged]:
    return [*read_lines(source or Plain(), chunks(content, size), file(), position, line)]


def chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def told(content: bytes, source: Lines | None = None) -> list[str]:
    """Returns the texts of events, and in brackets the reasons of all other records."""
    return [
        outcome.text if isinstance(outcome, Found) else f"({outcome[0]})"
        for outcome in (one.outcome for one in read(content, source))
    ]


def test_each_line_is_a_record_with_its_place_and_its_number() -> None:
    records = read(b"1 a\r\n\n2 b\n3 c")

    assert [(one.position, one.end, one.line, one.ended) for one in records] == [
        (0, 5, 1, True),
        (5, 6, 2, True),
        (6, 10, 3, True),
        (10, 13, 4, False),
    ]
    assert [one.outcome for one in records] == [
        Found(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "a"),
        Ignored("blank"),
        Found(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "b"),
        Found(datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC), "c"),
    ]
    assert [one.key for one in records] == [key_of("plain", content) for content in (b"1 a", b"", b"2 b", b"3 c")]


def test_lines_that_belong_to_the_record_before_are_a_part_of_it() -> None:
    assert told(b" 0 first\n1 a\n  b\n c\n2 d\n") == ["(it does not look like one)", "a\n  b\n c", "d"]
    assert [(one.position, one.end, one.line) for one in read(b"1 a\n b\n2 c\n")] == [(0, 7, 1), (7, 11, 3)]


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_record() -> None:
    assert told(b"\xef\xbb\xbf1 a\n\xef\xbb\xbf2 b\n") == ["a", "(the time is no number)"]
    assert read(b"\xef\xbb\xbf1 a\n")[0].key == key_of("plain", b"1 a")


def test_lines_may_end_with_nul() -> None:
    assert told(b"1 a\nb\0" + b"2 c\0", Null()) == ["a\nb", "c"]


def test_a_record_that_its_type_fails_at_costs_itself() -> None:
    records = read(b"1 a\n2 fail\n3 deep\nx b\n4 comment\n5 c\n", Troubled())
    outcomes = [one.outcome for one in records]

    assert [type(one) for one in outcomes] == [Found, Rejected, Rejected, Rejected, Ignored, Found]
    rejected = [one for one in outcomes if isinstance(one, Rejected)]
    assert [one.shown for one in rejected] == [b"2 fail", b"3 deep", b"x b"]
    assert rejected[0].reason.startswith("the type failed with KeyError: ") and len(rejected[0].reason) == MAX_REASON


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 1 << 22])
def test_a_record_that_is_too_long_is_passed_over_and_the_next_is_good(size: int) -> None:
    long = b"2 " + b"x" * (3 * MAX_RECORD)
    records = read(b"1 a\n" + long + b"\n3 b\n", size=size)

    assert [one.position for one in records] == [0, 4, 5 + len(long)]
    outcome = records[1].outcome
    assert isinstance(outcome, Rejected) and "longer" in outcome.reason and len(outcome.shown) == MAX_SHOWN
    assert isinstance(records[2].outcome, Found) and records[2].line == 3


def test_a_record_of_too_many_lines_is_one_that_is_too_long() -> None:
    content = b"1 a\n" + b" x\n" * MAX_RECORD + b"2 b\n"
    records = read(content, size=1 << 20)

    assert [type(one.outcome) for one in records] == [Rejected, Found]
    assert records[1].line == MAX_RECORD + 2


def test_a_record_of_the_greatest_length_is_taken() -> None:
    assert isinstance(read(b"1 " + b"x" * (MAX_RECORD - 2) + b"\n", size=1 << 16)[0].outcome, Found)


def test_a_file_of_which_nothing_is_of_the_type_is_refused_and_none_of_it_taken() -> None:
    with pytest.raises(WrongType, match=r"no plain: 3 records of 3 cannot be read. The first: the time is no number."):
        read(b"a b\nc d\ne f\n")
    records = read_lines(Plain(), [b"a b\n" * TRIED + b"1 a\n"], file())
    with pytest.raises(WrongType, match="1,000 records"):
        next(records)
    assert len(read(b"a b\n" * (TRIED - 1) + b"1 a\n", size=1 << 16)) == TRIED
    assert not read(b"")


def test_a_header_is_read_once_and_is_no_event() -> None:
    assert told(b"#word \n1 a\n2 b\n", Headed()) == ["(header)", "word a", "word b"]
    assert told(b"#word \n", Headed()) == ["(header)"]
    with pytest.raises(WrongType, match="header"):
        read(b"1 a\n", Headed())


def test_a_file_that_is_read_on_has_the_header_that_its_type_was_given() -> None:
    source = Headed()
    source.read_header(b"#word ", file())
    records = read(b"2 b\n", source, position=11, line=3)

    assert [(one.position, one.line, one.outcome) for one in records] == [
        (11, 3, Found(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "word b"))
    ]


CONTENT = st.lists(st.sampled_from([b"1 a", b"2 b\r", b" c", b"", b"\xff", b"x y", b"3"]), max_size=12).map(b"\n".join)


@given(CONTENT, st.integers(1, 40), st.integers(1, 40))
def test_records_do_not_depend_on_how_a_file_is_read(content: bytes, one: int, other: int) -> None:
    found = [*find_records(Plain(), chunks(content, one))]

    assert [*find_records(Plain(), chunks(content, other))] == found
    # Nothing is left out, and nothing is taken twice.
    assert [record.position for record in found] == [0, *(record.end for record in found)][: len(found)]
    assert not found or found[-1].end == len(content)


@given(CONTENT)
def test_a_file_that_is_read_on_after_any_record_has_the_records_of_one_that_is_read_at_once(content: bytes) -> None:
    whole = [*find_records(Plain(), [content])]
    for before, record in enumerate(whole):
        following = [*find_records(Plain(), [content[record.position :]], record.position, record.line)]
        assert following == whole[before:]


@given(st.binary(max_size=200))
def test_random_bytes_are_accounted_for_or_are_not_of_the_type(content: bytes) -> None:
    try:
        records = read(content)
    except WrongType:
        return
    assert sum(one.end - one.position for one in records) == len(content)


def test_a_type_that_fails_at_a_line_ends_the_reading_after_the_records_before() -> None:
    class Failing(Plain):
        def joins(self, line: bytes) -> bool:
            if line == b"3 c":
                raise KeyError(line)
            return super().joins(line)

    records = read_lines(Failing(), [b"1 a\n2 b\n  more\n3 c\n4 d\n"], file())

    assert [next(records).outcome, next(records).outcome] == [
        Found(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "a"),
        Found(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "b\n  more"),
    ]
    with pytest.raises(Damaged, match="the type failed with KeyError"):
        next(records)


def test_the_reason_of_a_type_can_be_stored_whatever_it_says() -> None:
    class Odd(Plain):
        def event(self, record: re.Match[bytes], given: Given) -> Found | Ignored:
            if record["text"] == b"odd":
                raise NoRecord("a\0b\ud800")
            return super().event(record, given)

    assert told(b"1 a\n2 odd\n", Odd()) == ["a", "(a�b?)"]
