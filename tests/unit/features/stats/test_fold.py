"""Events folded into changes of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.stats.changes import merge
from promise_pub.features.stats.definitions import Definition, define
from promise_pub.features.stats.fold import fold
from promise_pub.features.stats.intervals import ORIGIN, end_of, start_of
from promise_pub.features.stats.records import CellKey, Changes
from promise_pub.statistics import Event
from tests.stats.plugins import ALL, NOON, Count, event, registered

kinds = pytest.mark.parametrize("definition", ALL, ids=[definition.layout.name for definition in ALL])
counting = ALL[0]

moments = st.integers(0, 86_400).map(lambda seconds: datetime(2026, 3, 29, tzinfo=UTC) + timedelta(seconds=seconds))
happened = st.builds(
    lambda at, topic, category, body: event(0, topic, at, category=category, body=body),
    moments,
    st.sampled_from(["a", "a.b", "abc", "#", "", "é.\0"]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([b"", b'{"a": 1}', b'{"a": 2}', b"[]"]),
)
journals = st.lists(happened, max_size=30, unique_by=lambda one: one.at)


def numbered(events: Sequence[Event]) -> list[Event]:
    """Returns the events as a journal has them, to which they came in this order; one that comes again is the same."""
    different = {one.at: one for one in reversed(events)}
    order = sorted(different, key=[one.at for one in events].index)
    return [replace(different[at], seq=seq) for seq, at in enumerate(order, 1)]


def rows(changes: Changes) -> object:
    """Returns what readers see of changes: neither the order nor the numbers of events, which are another in another order."""
    entries = {key: (entry.at, entry.value) for key, entry in changes.entries.items()}
    return changes.cells, entries, changes.sketches


def fold_in_batches(definition: Definition, events: Sequence[Event], cuts: Sequence[int]) -> Changes:
    """Folds each batch twice, the second time at the position after it, as when its end was not known."""
    parts, state = [], registered(definition)
    for begin, end in pairwise([0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]):
        batch = events[begin:end]
        parts.append(fold(definition, state, batch, {}))
        if batch:
            state = replace(state, position=batch[-1].seq)
        parts.append(fold(definition, state, batch, {}))
    return merge(*parts)


@kinds
@given(st.data())
def test_events_in_any_order_in_any_batches_and_repeated_make_the_same_rows(
    definition: Definition, data: st.DataObject
) -> None:
    events = data.draw(journals)
    again = data.draw(st.lists(st.sampled_from(events))) if events else []
    shuffled = numbered(data.draw(st.permutations([*events, *again])))
    expected = fold(definition, registered(definition), numbered(events), {})
    assert rows(fold_in_batches(definition, shuffled, data.draw(st.lists(st.integers(0, 60))))) == rows(expected)


@kinds
@given(journals, st.integers(0, 30))
def test_two_batches_folded_and_merged_are_both_folded_at_once(
    definition: Definition, events: list[Event], cut: int
) -> None:
    events, state = numbered(events), registered(definition)
    parts = [fold(definition, state, part, {}) for part in (events[:cut], events[cut:])]
    assert merge(*parts) == fold(definition, state, events, {})


@given(journals)
def test_each_width_counts_every_event_in_the_window_it_happened_in(events: list[Event]) -> None:
    expected: dict[CellKey, int] = {}
    for one in numbered(events):
        for width in (0, 60, 90, 3600):
            start = start_of(one.at, width)
            assert start == ORIGIN if not width else start <= one.at < (end_of(start, width) or one.at)
            for key, number in (("once", 1), ("length", 2 * len(one.topic) - 8)):
                shown = one.topic.replace("\0", "\N{REPLACEMENT CHARACTER}")
                at = CellKey(7, width, start, f"{key}\x1f{shown}", 0)
                expected[at] = expected.get(at, 0) + number
    cells = fold(counting, registered(counting), numbered(events), {}).cells
    assert {at: cell.number for at, cell in cells.items()} == expected


def test_events_that_are_counted_or_came_before_the_first_are_left_out() -> None:
    events = [event(seq) for seq in range(1, 8)]
    counted = fold(counting, registered(counting, position=2, counted_from=5), events, {}).cells
    assert {cell.number for at, cell in counted.items() if at.key.startswith("once")} == {3}


def test_a_swept_window_does_not_come_back() -> None:
    late, early = event(1, at=NOON - timedelta(minutes=1)), event(2)
    starts = {
        (at.width, at.start)
        for at in fold(counting, registered(counting), [late, early], {60: NOON, 3600: NOON - timedelta(hours=1)}).cells
    }
    assert {start for width, start in starts if width == 60} == {NOON}
    assert {start for width, start in starts if width == 3600} == {NOON - timedelta(hours=1), NOON}
    assert {start for width, start in starts if width == 90} == {NOON - timedelta(seconds=90), NOON}


def test_windows_that_were_carried_over_count_only_what_came_later() -> None:
    state = registered(counting, carried_until=NOON + timedelta(minutes=1), carried_position=10)
    events = [event(10), event(11), event(12, at=NOON + timedelta(minutes=1))]
    cells = fold(counting, state, events, {}).cells
    once = {(at.width, at.start): cell.number for at, cell in cells.items() if at.key.startswith("once")}
    assert once == {
        (60, NOON): 1,
        (60, NOON + timedelta(minutes=1)): 1,
        # These end later, and began before: events that were swept may lie in them.
        (90, NOON): 2,
        (3600, NOON): 2,
        (0, ORIGIN): 2,
    }


def test_entries_that_were_carried_over_change_only_by_what_came_later() -> None:
    newest = ALL[2]
    state = registered(newest, carried_until=NOON, carried_position=10)
    changes = fold(newest, state, [event(10, "a"), event(11, "b")], {})
    assert [key.key for key in changes.entries] == ["b"]


@kinds
def test_counting_that_stops_in_the_middle_of_a_window_goes_on_there(definition: Definition) -> None:
    day = [event(seq, "abc", NOON + timedelta(minutes=seq), category="a") for seq in range(1, 200)]
    halves = [
        fold(definition, registered(definition), day[:90], {}),
        fold(definition, registered(definition, position=90), day, {}),
    ]
    assert merge(*halves) == fold(definition, registered(definition), day, {})


def test_an_older_event_that_comes_later_replaces_no_newer_entry() -> None:
    newest = ALL[2]
    moments = [NOON, NOON - timedelta(hours=1), NOON - timedelta(microseconds=1)]
    events = [event(seq, at=at, body=b'{"seq": %d}' % seq) for seq, at in enumerate(moments, 1)]
    parts = [fold(newest, registered(newest, position=seq - 1), [one], {}) for seq, one in enumerate(events, 1)]
    (entry,) = merge(*parts).entries.values()
    assert (entry.at, entry.value) == (NOON, '{"seq": 1}')


def test_of_two_entries_of_one_moment_the_one_that_came_later_stays() -> None:
    newest = ALL[2]
    events = [event(seq, body=b'{"seq": %d}' % seq) for seq in (1, 2)]
    (entry,) = fold(newest, registered(newest), events, {}).entries.values()
    assert (entry.seq, entry.value) == (2, '{"seq": 2}')


def test_only_events_of_its_topics_and_where_it_says_so_only_own_ones_are_given_to_it() -> None:
    class Own(Count):
        """Own events."""

        name, topics, own = "own", ("a.#", "b"), True

    definition = define(Own)
    events = [event(1, "a.b", source="own"), event(2, "a.b"), event(3, "c", source="own"), event(4, "b", source="own")]
    keys = {at.key for at in fold(definition, registered(definition), events, {}).cells}
    assert {key for key in keys if key.startswith("once")} == {"once\x1fa.b", "once\x1fb"}


@pytest.mark.parametrize("widths", [(7, 60), (1, 5, 60), (3_600,), (0,), (0, 45), (86_400, 60, 3_600, 90)])
def test_widths_need_not_divide_each_other(widths: tuple[int, ...]) -> None:
    class Sized(Count):
        """Events in windows of these widths."""

        name, intervals = "sized", tuple(timedelta(seconds=width) for width in widths)

    definition = define(Sized)
    events = [event(seq, at=NOON + timedelta(seconds=seq * 13.7)) for seq in range(1, 40)]
    expected = Counter((width, start_of(one.at, width)) for width in widths for one in events)
    cells = fold(definition, registered(definition), events, {}).cells
    assert {(at.width, at.start): cell.number for at, cell in cells.items() if at.key == "once\x1fa.b"} == expected


def test_an_event_that_is_there_twice_counts_once() -> None:
    twice = [event(1), event(1), event(2), event(1)]
    assert fold(counting, registered(counting), twice, {}) == fold(counting, registered(counting), twice[1:3], {})
