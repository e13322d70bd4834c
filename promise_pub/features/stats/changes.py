"""Changes of rows, put together, and kept within bounds. Pure.

Rows add up, or the newest stays, or sets are united; so changes may be put together in any order.
"""

from __future__ import annotations

from datetime import datetime

from promise_pub.features.stats.intervals import ORIGIN
from promise_pub.features.stats.records import (
    OTHERS,
    WHOLE,
    Cell,
    CellKey,
    Changes,
    Entry,
    KnownKeys,
    LatestKey,
    SketchKey,
)
from promise_pub.features.stats.sketches import unite

MAX_KEYS = 1_000  # of a statistic in each window, besides OTHERS


def merge(*parts: Changes) -> Changes:
    """Returns what all of these change. Keys stand in the order of their first appearance in each window."""
    whole = Changes()
    for changes in parts:
        for cell_key, cell in changes.cells.items():
            add_cell(whole, cell_key, cell)
        for latest_key, entry in changes.entries.items():
            add_entry(whole, latest_key, entry)
        for sketch_key, registers in changes.sketches.items():
            add_sketch(whole, sketch_key, registers)
        whole.left_out += changes.left_out
    return whole


def limit_keys(changes: Changes, known: KnownKeys, most: int = MAX_KEYS) -> Changes:
    """Returns the same changes with so many different keys in each window at most, those known included.

    A key that comes when its window is full counts as OTHERS. Entries share one window, that of all time.
    """
    limited = Changes(left_out=changes.left_out)
    held: dict[tuple[int, int, datetime], set[str]] = {}

    def place(statistic: int, width: int, start: datetime, key: str) -> str:
        window = statistic, width, start
        keys = held.get(window)
        if keys is None:
            keys = held[window] = {*known.get(window, ())} - {OTHERS}
        if key not in keys:
            if len(keys) >= most or key == OTHERS:
                return OTHERS
            keys.add(key)
        return key

    for at, cell in changes.cells.items():
        add_cell(limited, at._replace(key=place(*at[:4])), cell)
    for to, entry in changes.entries.items():
        add_entry(limited, to._replace(key=place(to.statistic, WHOLE, ORIGIN, to.key)), entry)
    for of, registers in changes.sketches.items():
        add_sketch(limited, of._replace(key=place(*of)), registers)
    return limited


def add_up(one: Cell, other: Cell) -> Cell:
    """Returns the sum of two cells."""
    number, total, most = one
    more, added, greatest = other
    if most is None or greatest is not None and greatest > most:
        most = greatest
    return Cell(number + more, total + added, most)


def add_cell(changes: Changes, key: CellKey, cell: Cell) -> None:
    """Adds to a count."""
    known = changes.cells.get(key)
    changes.cells[key] = cell if known is None else add_up(known, cell)


def add_entry(changes: Changes, key: LatestKey, entry: Entry) -> None:
    """Sets an entry, unless there is a newer one."""
    known = changes.entries.get(key)
    if known is None or (known.at, known.seq) <= (entry.at, entry.seq):
        changes.entries[key] = entry


def add_sketch(changes: Changes, key: SketchKey, registers: bytes) -> None:
    """Unites a set with what is there."""
    known = changes.sketches.get(key)
    changes.sketches[key] = registers if known is None else unite(known, registers)
