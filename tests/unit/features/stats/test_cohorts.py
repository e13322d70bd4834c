"""Cohorts: who reads the journal together, and whose turn it is."""

from __future__ import annotations

from promise_pub.features.stats.cohorts import Cohort, Counted, choose_cohorts
from tests.stats.plugins import ALL, registered


def at(*positions: int) -> list[Counted]:
    return [Counted(ALL[0], registered(ALL[0], id=n, position=position)) for n, position in enumerate(positions)]


def facts(cohorts: object) -> list[tuple[int, list[int], int | None]]:
    assert isinstance(cohorts, list)
    return [(one.position, [member.registered.id for member in one.members], one.until) for one in cohorts]


def test_those_with_one_position_share_a_reading() -> None:
    assert choose_cohorts([], 0) == []
    assert facts(choose_cohorts(at(5, 5, 5), 3)) == [(5, [0, 1, 2], None)]


def test_the_furthest_are_always_there_and_of_the_others_one_by_turns() -> None:
    counted = at(2, 9, 4, 9)
    first = (9, [1, 3], None)
    assert facts(choose_cohorts(counted, 0)) == [first, (4, [2], 9)]
    assert facts(choose_cohorts(counted, 1)) == [first, (2, [0], 4)]
    assert facts(choose_cohorts(counted, 2)) == [first, (4, [2], 9)]


def test_one_that_has_moved_is_in_another_cohort() -> None:
    one, other = at(1, 3)
    assert choose_cohorts([one.moved(3), other], 0) == [Cohort(3, (one.moved(3), other), None)]
