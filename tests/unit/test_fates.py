"""Fates that need somebody."""

from __future__ import annotations

from promise_pub.fates import FATES_IN_NEED, LOST_FATES, Fate, count_in_need


def test_what_only_a_newer_server_knows_needs_nobody_here() -> None:
    assert count_in_need(None) == count_in_need({}) == count_in_need({"lost in time": 3}) == {}


def test_what_was_lost_comes_before_what_is_no_row() -> None:
    assert {*FATES_IN_NEED} == {fate for fate in Fate if fate.needs_attention}
    assert FATES_IN_NEED[-1] is Fate.REJECTED and Fate.REJECTED not in LOST_FATES
    assert [*count_in_need({fate.value: 1 for fate in Fate})] == [*FATES_IN_NEED]
    assert count_in_need({Fate.REJECTED: 2, Fate.SAVED: 9, Fate.MISSING: 1}) == {Fate.MISSING: 1, Fate.REJECTED: 2}
