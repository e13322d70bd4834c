"""Sets of row numbers as ranges."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.ranges import RowRanges


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(st.integers(1, 40), max_size=60))
def test_it_is_the_set_of_what_was_added(numbers: list[int]) -> None:
    ranges, naive = RowRanges(), set[int]()
    for number in numbers:
        assert ranges.add(number) is (number not in naive)
        naive.add(number)
        assert len(ranges) == len(naive)
    assert {number for number in range(42) if number in ranges} == naive
    assert _read(str(ranges)) == sorted(naive)


def _read(text: str) -> list[int]:
    """The numbers that a text of ranges stands for; fails where two ranges could have been one."""
    numbers: list[int] = []
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        assert not numbers or int(first) > numbers[-1] + 1
        assert not last or int(last) > int(first)
        numbers += range(int(first), int(last or first) + 1)
    return numbers


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([5], "5"),
        ([1, 2], "1-2"),
        ([2, 1], "1-2"),
        ([1, 3, 2], "1-3"),
        ([*range(1, 21), 25], "1-20,25"),
        ([10, 1, 5], "1,5,10"),
    ],
)
def test_it_reads_as_people_write_it(numbers: list[int], text: str) -> None:
    ranges = RowRanges()
    for number in numbers:
        ranges.add(number)
    assert str(ranges) == text


def test_a_million_rows_in_a_row_cost_one_pair() -> None:
    ranges = RowRanges()
    for number in range(1, 1_000_001):
        ranges.add(number)
    assert (len(ranges), str(ranges), len(ranges._firsts)) == (1_000_000, "1-1000000", 1)


def test_a_long_text_is_shortened_and_says_so() -> None:
    ranges = RowRanges()
    for number in range(1, 2_003 * 2, 2):
        ranges.add(number)
    assert ranges.shortened(2) == "1,3 and 2,001 more ranges"
    assert ranges.shortened(2_002).endswith(",4003 and 1 more range")
    assert ranges.shortened(2_003) == ranges.shortened(5_000) == str(ranges)


SETS = st.frozensets(st.integers(1, 40), max_size=40)


def ranges_of(numbers: frozenset[int]) -> RowRanges:
    ranges = RowRanges()
    for number in numbers:
        ranges.add(number)
    return ranges


@settings(deadline=None)  # a busy machine is no fault of the code
@given(SETS, SETS, st.integers(0, 42), st.integers(0, 42))
def test_what_is_taken_from_it_is_as_with_sets(
    numbers: frozenset[int], others: frozenset[int], first: int, last: int
) -> None:
    ranges, other = ranges_of(numbers), ranges_of(others)
    assert _read(str(ranges.missing(first, last))) == sorted({*range(first, last + 1)} - numbers)
    assert _read(str(ranges.without(other))) == sorted(numbers - others)
    assert _read(str(ranges.within(other))) == sorted(numbers & others)
    assert len(ranges.without(other)) == len(numbers - others)
    assert _read(str(ranges.between(first, last))) == sorted(n for n in numbers if first <= n <= last)
    assert _read(str(ranges.up_to(last))) == sorted(n for n in numbers if n <= last)
    assert len(ranges.missing(first, last)) == len({*range(first, last + 1)} - numbers)
    again = RowRanges.parse(str(ranges))
    assert (str(again), len(again), [*again]) == (str(ranges), len(ranges), [*ranges])
    assert again.pieces == len(str(ranges).split(",")) if numbers else again.pieces == 0


@pytest.mark.parametrize("text", ["x", "1-", "-1", "1,,2", "1,", "5-3", "3,2", "1-4,4", "1 2", "9" * 19])
def test_what_is_not_written_so_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ranges|order"):
        RowRanges.parse(text)


def test_as_many_sets_are_made_however_many_ranges_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = 0, RowRanges.__init__

    def count(self: RowRanges, pairs: list[tuple[int, int]] | None = None) -> None:
        nonlocal made
        made += 1
        make(self, pairs)

    monkeypatch.setattr(RowRanges, "__init__", count)

    def sets_made(ranges: int) -> int:
        nonlocal made
        one = RowRanges([(4 * at, 4 * at + 1) for at in range(1, ranges)])
        other = RowRanges([(4 * at + 1, 4 * at + 2) for at in range(1, ranges)])
        made = 0
        assert len(one.without(other)) == len(one.within(other)) == ranges - 1
        return made

    assert sets_made(10) == sets_made(1_000) > 0


def test_what_is_taken_from_a_set_leaves_it_as_it_was() -> None:
    ranges = RowRanges([(1, 5)])
    for taken in (RowRanges(), RowRanges([(9, 9)])):
        ranges.without(taken).add(7)
    assert str(ranges) == "1-5"
