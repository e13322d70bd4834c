"""Versions of statistics: those to count, begin, show and delete, given what is installed. Pure.

A statistic has one version that readers see. A newer one is counted beside it, and replaces it once it has caught up. One
that is to be rebuilt becomes version 0, which the installed one is newer than. A version that was replaced is deleted,
unless the newer one lacks some of its rows: then it can be read by its number until the statistic is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from promise_pub.features.stats.records import Layout, Registered, State


@dataclass(frozen=True, slots=True)
class Begin:
    """A version to begin, once there is no other with its number; rows of `older` are carried over where events were swept."""

    layout: Layout
    shown: bool
    older: Registered | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A version with its new state."""

    id: int
    state: State
    trouble: str | None
    layout: Layout


@dataclass(slots=True)
class Plan:
    begin: list[Begin] = field(default_factory=list)
    change: list[Change] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)
    """Versions that nobody needs any more, with their rows."""


def make_plan(installed: Collection[Layout], known: Sequence[Registered], revive: bool) -> Plan:
    """Returns what has to change. With `revive` statistics that were set aside are counted again."""
    plan = Plan()
    layouts = {layout.name: layout for layout in installed}
    by_name: Mapping[str, list[Registered]] = defaultdict(list)
    for one in known:
        by_name[one.layout.name].append(one)
    for name in layouts.keys() | by_name.keys():
        _plan_one(plan, layouts.get(name), by_name[name], revive)
    return plan


def is_counted(one: Registered, installed: Layout | None) -> bool:
    return installed is not None and one.state == "going" and one.layout.version == installed.version


def is_shaped_alike(one: Layout, other: Layout) -> bool:
    """Tells whether the rows of one can stand for rows of the other."""
    return (one.kind, one.columns, one.intervals) == (other.kind, other.columns, other.intervals)


def _plan_one(plan: Plan, layout: Layout | None, versions: Sequence[Registered], revive: bool) -> None:
    shown = next((one for one in versions if one.shown), None)
    if shown is None:
        # What is left of a statistic that is being forgotten makes room first.
        plan.delete += [one.id for one in versions]
        if layout and not versions:
            plan.begin.append(Begin(layout, shown=True))
        return
    needless = [one for one in versions if not one.shown and _is_needless(one, shown, layout)]
    plan.delete += [one.id for one in needless]
    if layout is None:
        _change(plan, shown, "absent", shown.trouble, shown.layout)
    elif shown.layout.version > layout.version:
        trouble = f"Version {layout.version} is installed, which is older: version {shown.layout.version} is kept, and not counted."
        _change(plan, shown, "absent", trouble, shown.layout)
    elif shown.layout.version == layout.version:
        _go_on(plan, shown, layout, revive)
    else:
        _begin_beside(
            plan, shown, [one for one in versions if one not in needless and one is not shown], layout, revive
        )


def _begin_beside(plan: Plan, shown: Registered, others: Sequence[Registered], layout: Layout, revive: bool) -> None:
    begun = next((one for one in others if one.layout.version == layout.version), None)
    if begun and begun.state != "absent":
        _go_on(plan, begun, layout, revive)
        return
    if begun:
        plan.delete.append(begun.id)
    older = shown if is_shaped_alike(shown.layout, layout) else None
    plan.begin.append(Begin(layout, shown=False, older=older))


def _is_needless(one: Registered, shown: Registered, layout: Layout | None) -> bool:
    if one.state == "absent":
        return is_shaped_alike(one.layout, shown.layout) or shown.counted_from == 1
    return layout is not None and (one.layout.version != layout.version or not is_shaped_alike(one.layout, layout))


def _go_on(plan: Plan, one: Registered, layout: Layout, revive: bool) -> None:
    if not is_shaped_alike(one.layout, layout):
        trouble = "Its kind, columns or intervals have changed: give it a new version."
        _change(plan, one, "set_aside", trouble, one.layout)
    elif one.state == "absent" or revive and one.state == "set_aside":
        _change(plan, one, "going", None, layout)
    else:
        _change(plan, one, one.state, one.trouble, layout)


def _change(plan: Plan, one: Registered, state: State, trouble: str | None, layout: Layout) -> None:
    if replace(one, state=state, trouble=trouble, layout=layout) != one:
        plan.change.append(Change(one.id, state, trouble, layout))
