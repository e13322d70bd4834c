"""Changes put together, and kept within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.stats.changes import limit_keys, merge
from promise_pub.features.stats.intervals import ORIGIN
from promise_pub.features.stats.records import (
    OTHERS,
    WHOLE,
    Cell,
    CellKey,
    Changes,
    Entry,
    LatestKey,
    LeftOut,
    SketchKey,
)
from promise_pub.features.stats.sketches import estimate, member_digest, sketch
from tests.stats.plugins import NOON

MOST = 3
WINDOW = (1, 60, NOON)


def counts(*keys: str, start_minutes: int = 0) -> Changes:
    """Returns that each of these keys was counted once, in this order."""
    start = NOON + timedelta(minutes=start_minutes)
    return merge(*(Changes(cells={CellKey(1, 60, start, key, 0): Cell(1)}) for key in keys))


def by_key(changes: Changes) -> dict[str, int]:
    return {key.key: cell.number for key, cell in changes.cells.items()}


def test_cells_add_up_and_the_greatest_of_all_values_stays() -> None:
    key = CellKey(*WINDOW, "a", 5)
    for mosts, expected in (((7, 9), 9), ((9, 7), 9), ((None, 7), 7), ((7, None), 7), ((None, None), None)):
        parts = [Changes(cells={key: Cell(2, 10, most)}) for most in mosts]
        assert merge(*parts).cells == {key: Cell(4, 20, expected)}


def test_of_two_entries_the_later_stays_and_among_equals_that_of_the_greater_number() -> None:
    key = LatestKey(1, "a")
    entries = [Entry(NOON, 2, "2"), Entry(NOON, 1, "1"), Entry(NOON - timedelta(seconds=1), 3, "3")]
    for order in (entries, entries[::-1]):
        assert merge(*(Changes(entries={key: entry}) for entry in order)).entries == {key: entries[0]}


def test_what_is_left_out_stays_told() -> None:
    first, second = LeftOut(1, 1, "x"), LeftOut(1, 2, "y")
    merged = merge(Changes(left_out=[first]), Changes(left_out=[second]))
    assert merged.left_out == limit_keys(merged, {}).left_out == [first, second]


def test_keys_that_come_when_a_window_is_full_count_as_others() -> None:
    limited = limit_keys(counts("c", "a", "b", "d", "a", "e"), {}, MOST)
    assert by_key(limited) == {"c": 1, "a": 2, "b": 1, OTHERS: 2}


def test_keys_that_a_window_has_already_keep_their_places() -> None:
    known = {WINDOW: frozenset({"x", "d", OTHERS})}
    limited = limit_keys(counts("c", "a", "d", OTHERS), known, MOST)
    assert by_key(limited) == {"c": 1, "d": 1, OTHERS: 2}
    assert by_key(limit_keys(counts(OTHERS, "a", "b", "c"), {}, MOST)) == {OTHERS: 1, "a": 1, "b": 1, "c": 1}


def test_each_window_has_places_of_its_own() -> None:
    both = merge(counts("a", "b", "c"), counts("d", "e", start_minutes=1))
    assert limit_keys(both, {}, MOST) == both
    narrow = limit_keys(both, {}, 2)
    assert {(key.start, key.key) for key in both.cells} - {(key.start, key.key) for key in narrow.cells} == {
        (NOON, "c")
    }


def test_a_key_has_one_place_whatever_values_it_has() -> None:
    cells = {CellKey(*WINDOW, key, bucket): Cell(1) for key in "ab" for bucket in range(5)}
    assert limit_keys(Changes(cells=cells), {}, 2).cells == cells
    limited = limit_keys(Changes(cells=cells), {}, 1).cells
    assert {(key.key, key.bucket) for key in limited} == {(key, bucket) for key in ("a", OTHERS) for bucket in range(5)}


def test_entries_and_sketches_are_bounded_too() -> None:
    entries = {LatestKey(1, key): Entry(NOON, seq, f"{seq}") for seq, key in enumerate("abcd")}
    limited = limit_keys(Changes(entries=entries), {(1, WHOLE, ORIGIN): frozenset("d")}, 2).entries
    assert {key.key: entry.value for key, entry in limited.items()} == {"a": "0", "d": "3", OTHERS: "2"}
    sketches = {SketchKey(*WINDOW, key): sketch([member_digest(key)]) for key in "abcd"}
    others = limit_keys(Changes(sketches=sketches), {}, 2).sketches
    assert {key.key: estimate(registers) for key, registers in others.items()} == {"a": 1, "b": 1, OTHERS: 2}


@given(st.lists(st.sampled_from("abcdef")), st.lists(st.integers(0, 30)), st.integers(1, 5))
def test_batches_make_no_difference_to_who_has_a_place(keys: Sequence[str], cuts: Sequence[int], most: int) -> None:
    parts, held = [], set[str]()
    bounds = [0, *sorted(cut % (len(keys) + 1) for cut in cuts), len(keys)]
    for begin, end in zip(bounds, bounds[1:], strict=False):
        part = limit_keys(counts(*keys[begin:end]), {WINDOW: frozenset(held)}, most)
        held |= by_key(part).keys()
        parts.append(part)
    assert merge(*parts) == limit_keys(counts(*keys), {}, most)
