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

Window = tuple[int, int, datetime]
"""A statistic, a width and a start."""


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
    held: dict[Window, set[str]] = {}

    def has_no_place(window: Window, key: str) -> bool:
        keys = held.get(window)
        if keys is None:
            keys = held[window] = {*known.get(window, ())} - {OTHERS}
        if key in keys or key == OTHERS:
            return False
        if len(keys) >= most:
            return True
        keys.add(key)
        return False

    cells = [at for at in changes.cells if has_no_place(at[:3], at.key)]
    entries = [at for at in changes.entries if has_no_place((at.statistic, WHOLE, ORIGIN), at.key)]
    sketches = [at for at in changes.sketches if has_no_place(at[:3], at.key)]
    limited = Changes({**changes.cells}, {**changes.entries}, {**changes.sketches}, changes.left_out)
    for cell_key in cells:
        add_cell(limited, cell_key._replace(key=OTHERS), limited.cells.pop(cell_key))
    for latest_key in entries:
        add_entry(limited, latest_key._replace(key=OTHERS), limited.entries.pop(latest_key))
    for sketch_key in sketches:
        add_sketch(limited, sketch_key._replace(key=OTHERS), limited.sketches.pop(sketch_key))
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
