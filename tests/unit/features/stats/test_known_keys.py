"""Windows that may become full are asked for their keys, and no others."""

from __future__ import annotations

import pytest

from promise_pub.features.stats import known_keys
from promise_pub.features.stats.intervals import ORIGIN
from promise_pub.features.stats.known_keys import KeyCounts
from promise_pub.features.stats.records import Cell, CellKey, Changes, Entry, LatestKey, SketchKey
from tests.stats.plugins import NOON

WINDOW = (1, 60, NOON)


def cells(*keys: str) -> Changes:
    return Changes(cells={CellKey(*WINDOW, key, 0): Cell(1) for key in keys})


def test_an_unknown_window_is_asked_for_once_and_then_only_when_it_may_become_full() -> None:
    counts = KeyCounts(3)
    assert counts.doubtful(cells("a")) == [WINDOW]
    counts.note(cells("a"), {WINDOW: frozenset()})
    assert counts.doubtful(cells("b", "c")) == []
    counts.note(cells("b"), {})
    assert counts.doubtful(cells("a")) == []
    # Whether it is the same key is not remembered.
    assert counts.doubtful(cells("a", "b")) == [WINDOW]
    counts.note(cells("a", "b"), {WINDOW: frozenset("ab")})
    assert counts.doubtful(cells("c")) == []


def test_what_is_forgotten_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = KeyCounts(3)
    counts.note(cells("a"), {WINDOW: frozenset()})
    counts.forget()
    assert counts.doubtful(cells("a")) == [WINDOW]
    counts.note(cells("a"), {WINDOW: frozenset()})
    monkeypatch.setattr(known_keys, "MAX_REMEMBERED", 0)
    counts.note(Changes(), {})
    assert counts.doubtful(cells("a")) == [WINDOW]


def test_a_statistic_without_columns_is_never_full() -> None:
    assert KeyCounts(1).doubtful(cells("")) == []


def test_entries_share_one_window_and_sketches_have_theirs() -> None:
    changes = Changes(entries={LatestKey(2, "a"): Entry(NOON, 1, "{}")}, sketches={SketchKey(3, 60, NOON, "a"): b""})
    assert KeyCounts(9).doubtful(changes) == [(2, 0, ORIGIN), (3, 60, NOON)]
