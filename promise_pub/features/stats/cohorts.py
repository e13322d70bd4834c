"""Cohorts: statistics that are counted together, and their order. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from promise_pub.features.stats.definitions import Definition
from promise_pub.features.stats.records import Registered


class Counted(NamedTuple):
    """A statistic, and its version as the database had it last."""

    definition: Definition
    registered: Registered

    def moved(self, position: int) -> Counted:
        return Counted(self.definition, replace(self.registered, position=position))


@dataclass(frozen=True, slots=True)
class Cohort:
    """Statistics that have the same position, and share one reading of the journal.

    `until` is the position of the cohort before it, which it joins there; the first has none.
    """

    position: int
    members: tuple[Counted, ...]
    until: int | None = None


def choose_cohorts(counted: Iterable[Counted], turn: int) -> Sequence[Cohort]:
    """Returns the cohorts whose turn it is: the one that is furthest, and of those that lag one in each turn, so that
    they never delay the first for long."""
    by_position: defaultdict[int, list[Counted]] = defaultdict(list)
    for one in counted:
        by_position[one.registered.position].append(one)
    positions = sorted(by_position, reverse=True)
    cohorts = [
        Cohort(position, tuple(by_position[position]), until)
        for position, until in zip(positions, [None, *positions], strict=False)
    ]
    lagging = cohorts[1:]
    return [*cohorts[:1], lagging[turn % len(lagging)]] if lagging else cohorts
