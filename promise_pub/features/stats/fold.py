"""Events folded into what they change in the rows of one statistic. Pure.

Events are gathered in the widest windows that divide all windows of the statistic; those of each width are made of these.
Keys stand in the order of their first appearance in a window, which is the journal's.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from math import gcd, inf
from typing import Any

from promise_pub.features.stats.changes import add_cell, add_entry
from promise_pub.features.stats.definitions import Definition
from promise_pub.features.stats.failures import failure_line
from promise_pub.features.stats.given import Batch
from promise_pub.features.stats.intervals import ORIGIN, start_at
from promise_pub.features.stats.records import (
    WHOLE,
    Cell,
    CellKey,
    Changes,
    Entry,
    Kind,
    LatestKey,
    LeftOut,
    Registered,
    SketchKey,
)
from promise_pub.features.stats.sketches import sketch
from promise_pub.features.stats.values import READERS, Given, Known
from promise_pub.statistics import Event

MAX_GATHERED = 200_000  # places of counts that a fold holds, some 40 MB; an event has 10,000 at most

Swept = Mapping[int, datetime]
"""The first moment whose windows are kept, by width: windows that start earlier no longer change."""

_Reading = tuple[Event, int, list[Given]]
"""An event that is to be counted, the number of its window, and all that the plugin gives for it."""
_Add = Callable[[Any, Any], Any]
_Gathered = dict[tuple[int, str, int | bytes], Any]
"""Sums of what events add, by place, key and part of a key. A place is twice the number of a window, and one more for events that
were counted before rows were carried over."""


class TooManyChanges(Exception):
    """Events change more rows than are held at once: fewer of them must be folded. One event alone never does."""


def fold(definition: Definition, registered: Registered, events: Iterable[Event], swept: Swept) -> Changes:
    """Returns what events, in the order of their numbers, change in the rows of a statistic.

    Those it has counted already are left out, as are windows that are swept, and those that had counted an event when they
    were carried over from an older version. An event that the plugin fails at counts nowhere, and is told in `left_out`.
    Several statistics fold the same Batch sooner than its events. Raises TooManyChanges.
    """
    layout, changes = definition.layout, Changes()
    batch = events if isinstance(events, Batch) else Batch(events)
    batch = batch.after(max(registered.position, registered.counted_from - 1))
    if layout.kind == "latest":
        _fold_entries(definition, registered, batch, changes)
        return changes
    members: defaultdict[SketchKey, set[bytes]] = defaultdict(set)
    for width, gathered in _levels(definition, registered, batch, changes.left_out):
        starts = {place: _start(place, width, registered, swept) for place in {place for place, _, _ in gathered}}
        for (place, key, part), adds in gathered.items():
            start = starts[place]
            if start is None:
                continue
            if isinstance(part, bytes):
                members[SketchKey(registered.id, width, start, key)].add(part)
            else:
                cell = Cell(adds) if layout.kind == "counting" else Cell(*adds)
                add_cell(changes, CellKey(registered.id, width, start, key, part), cell)
    changes.sketches = {key: sketch(digests) for key, digests in members.items()}
    return changes


def _fold_entries(definition: Definition, registered: Registered, batch: Batch, changes: Changes) -> None:
    for event, _, entries in _read(definition, registered, batch, WHOLE, changes.left_out):
        if event.seq > (registered.carried_position or 0):
            for key, _, text in entries:
                add_entry(changes, LatestKey(registered.id, key), Entry(event.at, event.seq, text))


def _read(
    definition: Definition, registered: Registered, batch: Batch, width: int, left_out: list[LeftOut]
) -> Iterator[_Reading]:
    """Yields the events that are to be counted, each with the number of its window and all that the plugin gives for it."""
    layout = definition.layout
    method, read = READERS[layout.kind]
    give, columns = getattr(definition.statistic, method), len(layout.columns)
    known: Known = {}
    for event, index in batch.select(definition.matches, layout.own, width):
        try:
            values = read(give(event), columns, known)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything, and must spoil nothing but its own rows
            left_out.append(LeftOut(registered.id, event.seq, failure_line(error)))
        else:
            yield event, index, values


def _levels(
    definition: Definition, registered: Registered, batch: Batch, left_out: list[LeftOut]
) -> Iterator[tuple[int, _Gathered]]:
    """Yields what events add in the windows of each width, each made of the widest one that divides it."""
    widths = definition.layout.intervals
    add = _ADDING[definition.layout.kind]
    base = gcd(*widths)
    levels = {base: _gather(_read(definition, registered, batch, base, left_out), registered, add)}
    for width in sorted(widths, key=lambda width: width or inf):
        if width not in levels:
            below = max(narrower for narrower in levels if width % narrower == 0)
            levels[width] = _roll(levels[below], width // below, add)
        yield width, levels[width]


def _gather(readings: Iterable[_Reading], registered: Registered, add: _Add) -> _Gathered:
    """Returns what events add in the windows of a width, in the order of their first appearance."""
    gathered: _Gathered = {}
    carried = registered.carried_position or 0
    for event, index, values in readings:
        place = index * 2 + (event.seq <= carried)
        for key, part, adds in values:
            at = place, key, part
            known = gathered.get(at)
            gathered[at] = adds if known is None else add(known, adds)
        if len(gathered) > MAX_GATHERED:
            raise TooManyChanges
    return gathered


def _roll(gathered: _Gathered, times: int, add: _Add) -> _Gathered:
    """Returns the same in windows that are so many times as wide; 0: in that of all time."""
    places = {place: (place // 2 // times * 2 if times else 0) + place % 2 for place in {at[0] for at in gathered}}
    rolled: _Gathered = {}
    for (place, key, part), adds in gathered.items():
        at = places[place], key, part
        known = rolled.get(at)
        rolled[at] = adds if known is None else add(known, adds)
    return rolled


def _add_values(known: tuple[int, int, int], adds: tuple[int, int, int]) -> tuple[int, int, int]:
    number, total, most = known
    more, added, greatest = adds
    return number + more, total + added, greatest if greatest > most else most


_ADDING: Mapping[Kind, _Add] = {"counting": operator.add, "measuring": _add_values, "distinct": lambda known, _: known}


def _start(place: int, width: int, registered: Registered, swept: Swept) -> datetime | None:
    """Returns the start of the window that a place is in; None where it does not count there."""
    index, carried = divmod(place, 2)
    if width == WHOLE:
        return None if carried else ORIGIN
    start = start_at(index, width)
    if carried and registered.carried_until and start < registered.carried_until:
        return None
    return None if width in swept and start < swept[width] else start
