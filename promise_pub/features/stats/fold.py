"""Events folded into what they change in the rows of one statistic. Pure.

Events are gathered in the widest windows that divide all windows of the statistic; those of each width are made of these.
Keys stand in the order of their first appearance in a window, which is the journal's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from math import gcd, inf
from typing import Any

from promise_pub import event_records
from promise_pub.features.stats.changes import add_entry, add_up
from promise_pub.features.stats.definitions import Definition
from promise_pub.features.stats.failures import failure_line
from promise_pub.features.stats.intervals import EARLIEST, ORIGIN, start_at
from promise_pub.features.stats.records import (
    WHOLE,
    CellKey,
    Changes,
    Entry,
    LatestKey,
    LeftOut,
    Registered,
    SketchKey,
)
from promise_pub.features.stats.sketches import sketch
from promise_pub.features.stats.values import READERS, Given
from promise_pub.statistics import Event

MAX_GATHERED = 200_000  # places of counts that a fold holds, some 40 MB; an event has 10,000 at most

Swept = Mapping[int, datetime]
"""The first moment whose windows are kept, by width: windows that start earlier no longer change."""

_Reading = tuple[Event, list[Given]]
"""An event that is to be counted, and all that the plugin gives for it."""
_Gathered = dict[tuple[int, str, int | bytes], Any]
"""What events add, by place, key and part of a key. A place is twice the number of a window, and one more for events that
were counted before rows were carried over."""


class TooManyChanges(Exception):
    """Events change more rows than are held at once: fewer of them must be folded. One event alone never does."""


def as_given(event: event_records.Event, category: int) -> Event:
    """Returns an event of the journal as statistics are given it; `category` says which word of a topic is its category."""
    words = event.topic.split(".")
    return Event(
        seq=event.seq,
        at=max(event.at, EARLIEST),
        received_at=event.received_at,
        source=event.source,
        topic=event.topic,
        category=words[category] if category < len(words) else "",
        sender=event.sender,
        subject=event.subject,
        headers=event.headers,
        body=event.body,
    )


def own_copy(event: Event) -> Event:
    """Returns a copy that shares nothing that can be changed."""
    copy = object.__new__(Event)
    copy.__dict__.update(event.__dict__, headers=deepcopy(event.headers) if event.headers else {})
    copy.__dict__.pop("data", None)
    return copy


def fold(definition: Definition, registered: Registered, events: Iterable[Event], swept: Swept) -> Changes:
    """Returns what events, in the order of their numbers, change in the rows of a statistic.

    Those it has counted already are left out, as are windows that are swept, and those that had counted an event when they
    were carried over from an older version. An event that the plugin fails at counts nowhere, and is told in `left_out`.
    Raises TooManyChanges.
    """
    changes = Changes()
    readings = _read(definition, registered, events, changes.left_out)
    if definition.layout.kind == "latest":
        for event, entries in readings:
            if event.seq > (registered.carried_position or 0):
                for key, _, text in entries:
                    add_entry(changes, LatestKey(registered.id, key), Entry(event.at, event.seq, text))
        return changes
    members: defaultdict[SketchKey, set[bytes]] = defaultdict(set)
    for width, gathered in _levels(readings, definition.layout.intervals, registered):
        starts = {place: _start(place, width, registered, swept) for place in {place for place, _, _ in gathered}}
        for (place, key, part), adds in gathered.items():
            start = starts[place]
            if start is None:
                continue
            if isinstance(part, bytes):
                members[SketchKey(registered.id, width, start, key)].add(part)
            else:
                at = CellKey(registered.id, width, start, key, part)
                known = changes.cells.get(at)
                changes.cells[at] = adds if known is None else add_up(known, adds)
    changes.sketches = {key: sketch(digests) for key, digests in members.items()}
    return changes


def _read(
    definition: Definition, registered: Registered, events: Iterable[Event], left_out: list[LeftOut]
) -> Iterator[_Reading]:
    """Yields the events that are to be counted, each with all that the plugin gives for it."""
    layout = definition.layout
    method, read = READERS[layout.kind]
    give, columns = getattr(definition.statistic, method), len(layout.columns)
    position = max(registered.position, registered.counted_from - 1)
    for event in events:
        if event.seq <= position or layout.own and event.source != "own" or not definition.matches(event.topic):
            continue
        position = event.seq
        try:
            values = read(give(event if definition.ours else own_copy(event)), columns)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a plugin may raise anything, and must spoil nothing but its own rows
            left_out.append(LeftOut(registered.id, event.seq, failure_line(error)))
        else:
            yield event, values


def _levels(
    readings: Iterable[_Reading], widths: Sequence[int], registered: Registered
) -> Iterator[tuple[int, _Gathered]]:
    """Yields what events add in the windows of each width, each made of the widest one that divides it."""
    base = gcd(*widths)
    levels = {base: _gather(readings, base, registered)}
    for width in sorted(widths, key=lambda width: width or inf):
        if width not in levels:
            below = max(narrower for narrower in levels if width % narrower == 0)
            levels[width] = _roll(levels[below], width // below)
        yield width, levels[width]


def _gather(readings: Iterable[_Reading], width: int, registered: Registered) -> _Gathered:
    """Returns what events add in the windows of a width, in the order of their first appearance."""
    gathered: _Gathered = {}
    carried = registered.carried_position or 0
    span = timedelta(seconds=width)
    for event, values in readings:
        place = ((event.at - ORIGIN) // span if width else 0) * 2 + (event.seq <= carried)
        for key, part, adds in values:
            at = place, key, part
            known = gathered.get(at)
            gathered[at] = adds if known is None else add_up(known, adds)
        if len(gathered) > MAX_GATHERED:
            raise TooManyChanges
    return gathered


def _roll(gathered: _Gathered, times: int) -> _Gathered:
    """Returns the same in windows that are so many times as wide; 0: in that of all time."""
    places = {place: (place // 2 // times * 2 if times else 0) + place % 2 for place in {at[0] for at in gathered}}
    rolled: _Gathered = {}
    for (place, key, part), adds in gathered.items():
        at = places[place], key, part
        known = rolled.get(at)
        rolled[at] = adds if known is None else add_up(known, adds)
    return rolled


def _start(place: int, width: int, registered: Registered, swept: Swept) -> datetime | None:
    """Returns the start of the window that a place is in; None where it does not count there."""
    index, carried = divmod(place, 2)
    if width == WHOLE:
        return None if carried else ORIGIN
    start = start_at(index, width)
    if carried and registered.carried_until and start < registered.carried_until:
        return None
    return None if width in swept and start < swept[width] else start
