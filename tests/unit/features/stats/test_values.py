"""Plugins that misbehave: the event they fail at counts nowhere, all others count, and no other statistic notices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub import event_records, statistics
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.fold import MAX_GATHERED, TooManyChanges, fold
from promise_pub.features.stats.given import as_given
from promise_pub.features.stats.intervals import EARLIEST
from promise_pub.features.stats.records import OTHERS, SEPARATOR, Changes, LeftOut
from promise_pub.features.stats.values import MAX_GIVEN, MAX_JSON, MAX_NUMBER, MAX_VALUE, join_key
from promise_pub.histogram import bucket_of, percentile_of, upper_bound
from promise_pub.statistics import WHOLE, Amount, Buckets, Counting, Distinct, Event, Latest, Measuring
from tests.stats.plugins import NOON, event, registered

METHODS = {Counting: "count", Measuring: "measure", Latest: "entry", Distinct: "members"}
REPLACED = "\N{REPLACEMENT CHARACTER}"


def folded(base: type, gives: Callable[[Event], Any], *events: Event, columns: int = 1, ours: bool = False) -> Changes:
    """Folds events, one unless given, by a statistic of all time that gives this for each."""
    members = {
        "__doc__": "Tried.",
        "name": "tried",
        "columns": ("a", "b", "c", "d")[:columns],
        "intervals": (WHOLE,),
        METHODS[base]: lambda self, event: gives(event),
    }
    definition = define(type("Tried", (base,), members), ours)
    return fold(definition, registered(definition), events or [event(1)], {})


def counts(*given: Any, columns: int = 1) -> dict[str, int]:
    changes = folded(Counting, lambda event: given, columns=columns)
    assert not changes.left_out
    return {key.key: cell.number for key, cell in changes.cells.items()}


def error_of(base: type, given: Any, columns: int = 1) -> str:
    """Returns what is told of an event for which a plugin gives this, after something that is right."""
    right = {Counting: "x", Measuring: ("x", 1), Latest: ("x", 1), Distinct: ("x", "y")}[base]
    right = right if columns == 1 else (("x",) * columns)
    changes = folded(base, lambda event: iter([right, given]), columns=columns)
    ((statistic, seq, text),) = changes.left_out
    assert (statistic, seq) == (7, 1)
    assert text.isprintable() and len(text) <= 300
    assert not changes.size, "nothing of the event counts"
    return text


@pytest.mark.parametrize(
    ("columns", "key", "expected"),
    [
        (0, (), ""),
        (1, "a", "a"),
        (1, ("a",), "a"),
        (1, "", ""),
        (2, ("a", "b"), "a\x1fb"),
        (4, ("a", "", "", "b"), "a\x1f\x1f\x1fb"),
        (1, "é \N{CRAB}\u200d", "é \N{CRAB}\u200d"),
        (1, "=cmd()", "=cmd()"),
        (1, "<script>", "<script>"),
        *((1, f"a{unsafe}b", f"a{REPLACED}b") for unsafe in "\0\n\t\x1b\x7f\x85\u2028\u202e\ud800\x1e\x1f"),
        (1, OTHERS, REPLACED),
        (1, SEPARATOR, REPLACED),
        (1, "x" * 10**6, "x" * 200),
        (1, "\N{CRAB}" * 200, "\N{CRAB}" * 150),
        (1, "\0" * 10**6, REPLACED * 200),
        (1, "é" * 201, "é" * 200),
    ],
)
def test_a_key_is_stored_so_that_nothing_of_it_does_harm(columns: int, key: Any, expected: str) -> None:
    assert counts(key, columns=columns) == {expected: 1}


@given(st.lists(st.text(st.characters()), min_size=4, max_size=4))
def test_every_key_fits_into_an_index_and_can_be_taken_apart(parts: list[str]) -> None:
    key = join_key(tuple(parts), 4)
    assert len(key.encode()) <= 2_500
    assert len(key.split(SEPARATOR)) == 4
    assert not set("\0\x1b\x1e") & set(key)


def test_values_of_enumerations_are_what_they_hold() -> None:
    class Text(StrEnum):
        A = "a"

        def __str__(self) -> str:
            return "something else"

    class Number(IntEnum):
        TWO = 2

    assert counts(Text.A, "a", Amount(Text.A, Number.TWO)) == {"a": 4}


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        *(
            (1, wrong)
            for wrong in (None, 1, 1.5, b"a", ["a"], {"a"}, {"a": 1}, (), ("a", "b"), (None,), (1,), object())
        ),
        *((2, wrong) for wrong in ("a", "ab", ("a",), ("a", "b", "c"), ("a", 1), ["a", "b"])),
        *((0, wrong) for wrong in ("", "a", None, ("",))),
        *((1, Amount("a", wrong)) for wrong in (None, "1", 1.0, True, MAX_NUMBER + 1, -MAX_NUMBER - 1, 10**5_000)),
        (1, Amount(None, 1)),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_counted_leaves_out_its_event(columns: int, given: Any) -> None:
    assert error_of(Counting, given, columns).startswith("WrongValue: ")


@pytest.mark.parametrize(
    "given",
    [
        *(("a", wrong) for wrong in (0, -1, float("nan"), float("inf"), -0.0, "1", None, True, 1j, 10**400, MAX_VALUE + 1)),
        *("ab", ("a",), ("a", 1, 2), 1, None, (None, 1)),
        *(Buckets("a", wrong) for wrong in (None, [1], {-1: 1}, {"1": 1}, {True: 1}, {1: 0}, {1: -1}, {1: 1.0}, {9_999: 1})),
        *(Buckets("a", {1_000: MAX_NUMBER}), Buckets("a", {1: 10**400})),
        Buckets("a", dict.fromkeys(range(MAX_GIVEN + 1), 1)),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_leaves_out_its_event(given: Any) -> None:
    assert error_of(Measuring, given).startswith("WrongValue: ")


nested: list[Any] = []
for _ in range(sys.getrecursionlimit() + 10):
    nested = [nested]
circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        *((("a", wrong), "TypeError") for wrong in (object(), {1, 2}, b"")),
        *((("a", wrong), "ValueError") for wrong in (float("nan"), {"a": float("inf")}, circle, 10**200, 10**5_000)),
        (("a", "x" * MAX_JSON), "ValueError: it has more than 65,536 bytes"),
        (("a", "é" * (MAX_JSON // 2)), "ValueError: it has more than 65,536 bytes"),
        (("a", nested), "RecursionError"),
        (("a", json.loads("[" * 70 + "]" * 70)), "ValueError: it is nested more than 64 deep"),
        ("ab", "WrongValue"),
        (("a",), "WrongValue"),
    ],
)
def test_what_is_no_entry_leaves_out_its_event(given: Any, kind: str) -> None:
    assert error_of(Latest, given).startswith(kind)


@pytest.mark.parametrize("given", [("a", 1), ("a", None), ("a", b"x"), "ab", ("a",), None])
def test_what_is_no_member_leaves_out_its_event(given: Any) -> None:
    assert error_of(Distinct, given).startswith("WrongValue: ")


@pytest.mark.parametrize("base", METHODS)
@pytest.mark.parametrize("given", [None, 1, "text", b"bytes", {"a": 1}])
def test_what_is_no_sequence_of_values_leaves_out_its_event(base: type, given: Any) -> None:
    changes = folded(base, lambda event: given)
    assert len(changes.left_out) == 1
    assert not changes.size


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise RuntimeError


class Odd(str):
    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __len__(self) -> int:
        return 0


def recurse(event: Event) -> Any:
    return recurse(event)


@pytest.mark.parametrize("base", METHODS)
@pytest.mark.parametrize(
    "error",
    [ValueError("x\x1b[31m\n" * 10**5), KeyError("mode"), MemoryError(), SystemExit(1), GeneratorExit(), StopIteration(), Unspeakable(), "recurse"],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_error_on_every_seventh_event_leaves_out_these_alone(base: type, error: Any) -> None:
    right = {Counting: "x", Measuring: ("x", 1), Latest: ("x", 1), Distinct: ("x", "y")}[base]

    def gives(event: Event) -> Iterator[Any]:
        yield right
        if event.seq % 7 == 0:
            if error == "recurse":
                recurse(event)
            raise error

    events = [event(seq) for seq in range(1, 22)]
    changes = folded(base, gives, *events)
    assert [one.seq for one in changes.left_out] == [7, 14, 21]
    assert all(one.error.isprintable() and len(one.error) <= 300 for one in changes.left_out)
    expected = folded(base, lambda event: [right], *(one for one in events if one.seq % 7))
    assert (changes.cells, changes.entries, changes.sketches) == (expected.cells, expected.entries, expected.sketches)


def test_interrupting_the_server_is_not_contained() -> None:
    def gives(event: Event) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folded(Counting, gives)


def test_a_text_with_ideas_of_its_own_is_but_a_text() -> None:
    assert counts(Odd("a\0" * 500)) == {f"a{REPLACED}" * 100: 1}


@pytest.mark.parametrize("base", METHODS)
def test_an_event_has_ten_thousand_values_at_most_though_a_plugin_never_ends(base: type) -> None:
    right = {Counting: "x", Measuring: ("x", 1), Latest: ("x", 1), Distinct: ("x", "y")}[base]
    assert not folded(base, lambda event: repeat(right, MAX_GIVEN)).left_out
    for many in (repeat(right, MAX_GIVEN + 1), repeat(right)):
        (left_out,) = folded(base, lambda event, many=many: many).left_out
        assert left_out == LeftOut(7, 1, "WrongValue: it gives more than 10,000 values for one event")


def test_events_that_change_too_much_at_once_are_to_be_folded_fewer_at_a_time() -> None:
    fits = MAX_GATHERED // MAX_GIVEN
    events = [event(seq) for seq in range(1, fits + 2)]

    def gives(event: Event) -> Iterator[str]:
        return (f"{event.seq}-{number}" for number in range(MAX_GIVEN))

    assert folded(Counting, gives, *events[:fits]).size == MAX_GATHERED
    with pytest.raises(TooManyChanges):
        folded(Counting, gives, *events)


def test_amounts_add_up_exactly_and_may_be_negative() -> None:
    assert counts(Amount("a", MAX_NUMBER), Amount("a", -MAX_NUMBER), "a", Amount("b", -3)) == {"a": 1, "b": -3}
    assert counts(Amount("a", 0)) == {"a": 0}


def test_values_are_summed_up_in_thousandths_and_counted_in_buckets() -> None:
    changes = folded(Measuring, lambda event: [("a", 0.1), ("a", 0.1), ("a", 0.2), ("a", MAX_VALUE)])
    cells = {key.bucket: cell for key, cell in changes.cells.items()}
    assert cells[bucket_of(0.1)] == (2, 200, 100)
    assert cells[bucket_of(0.2)] == (1, 200, 200)
    assert cells[bucket_of(MAX_VALUE)] == (1, MAX_VALUE * 1_000, MAX_VALUE * 1_000)


def test_buckets_are_taken_as_they_are_with_their_upper_bounds() -> None:
    changes = folded(Measuring, lambda event: [Buckets("a", {0: 3, 300: 2}), Buckets("b", {})])
    bound = round(upper_bound(300) * 1_000)
    assert {(key.key, key.bucket): cell for key, cell in changes.cells.items()} == {
        ("a", 0): (3, 30, 10),
        ("a", 300): (2, 2 * bound, bound),
    }


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_of_cells_are_two_per_cent_off_at_most(values: list[float], share: float) -> None:
    cells = folded(Measuring, lambda event: [("a", value) for value in values]).cells
    buckets = {key.bucket: cell.number for key, cell in cells.items()}
    most = max(cell.most or 0 for cell in cells.values()) / 1_000
    exact = next(value for n, value in enumerate(sorted(values), 1) if n >= share * len(values))
    assert percentile_of(buckets, share, most) == pytest.approx(exact, rel=0.0201, abs=0.001)


def test_an_entry_is_json_that_postgresql_takes_and_the_last_of_an_event_stays() -> None:
    value = {"a\0": "\ud800", "b": r"\u0000", "é": [1, 0.5, None, True]}
    (entry,) = folded(Latest, lambda event: [("a", 1), ("a", value)]).entries.values()
    assert json.loads(entry.value) == {f"a{REPLACED}": "?", "b": r"\u0000", "é": [1, 0.5, None, True]}
    assert (entry.at, entry.seq) == (NOON, 1)


def kept_event(**values: Any) -> event_records.Event:
    """An event as the journal gives it."""
    given = {"topic": "a.b", "body": b"{}", "sender": "ci", "subject": "it", "headers": {"a": 1}, **values}
    return event_records.Event(seq=3, key=None, source="bus", at=NOON, received_at=NOON, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.data.update(a=1),
        lambda event: event.data["a"].update(b=2),
        lambda event: event.data["list"].append(1),
        lambda event: event.headers.__setitem__("a", 1),
        lambda event: event.headers["list"].append(1),
        lambda event: setattr(event, "topic", "spoilt"),
    ],
)
def test_no_plugin_can_change_an_event_that_others_are_given(change: Callable[[Event], Any]) -> None:
    kept = kept_event(headers={"list": [1]}, body=b'{"a": {"b": 1}, "list": [1]}')
    shared = as_given(kept, 1)
    assert folded(Counting, change, shared).left_out
    assert (shared.data, shared.headers, shared.topic) == ({"a": {"b": 1}, "list": (1,)}, {"list": (1,)}, "a.b")


def test_what_an_event_holds_can_be_handed_on_as_an_entry() -> None:
    shared = event(1, body=b'{"a": {"b": [1, {"c": null}]}}')
    (entry,) = folded(Latest, lambda event: [("k", event.data["a"])], shared).entries.values()
    assert json.loads(entry.value) == {"b": [1, {"c": None}]}


def test_statistics_share_one_event_and_the_reading_of_its_body() -> None:
    shared = event(1)
    seen: list[Event] = []
    folded(Counting, lambda event: seen.append(event) or [], shared)  # type: ignore[func-returns-value]
    assert seen == [shared] and seen[0] is shared and shared.data is shared.data


@pytest.mark.parametrize(
    ("topic", "category", "expected"), [("a.b.c", 1, "b"), ("a.b", 3, ""), ("", 0, ""), ("", 1, ""), ("a..c", 1, "")]
)
def test_the_category_is_a_word_of_the_topic(topic: str, category: int, expected: str) -> None:
    kept = kept_event(topic=topic)
    assert as_given(kept, category) == statistics.Event(
        seq=3,
        at=NOON,
        received_at=NOON,
        source="bus",
        topic=topic,
        category=expected,
        sender="ci",
        subject="it",
        headers={"a": 1},
        body=b"{}",
    )


def test_an_event_of_the_first_years_happened_as_early_as_windows_go() -> None:
    early = EARLIEST.replace(year=1)
    kept = event_records.Event(seq=1, key=None, source="bus", topic="a", body=b"", at=early, received_at=NOON)  # type: ignore[arg-type]
    assert as_given(kept, 1).at == EARLIEST
