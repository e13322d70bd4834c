"""Numbers of keys that windows have, remembered so that only those that may become full are asked for theirs. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from promise_pub.features.stats.intervals import ORIGIN
from promise_pub.features.stats.records import WHOLE, Changes, KnownKeys

Window = tuple[int, int, datetime]
"""A statistic, a width and a start."""

MAX_REMEMBERED = 50_000  # windows, some 10 MB
_ONLY_KEY = {""}  # of a statistic without columns


class KeyCounts:
    """Upper bounds of the numbers of keys in windows. What was not committed must be forgotten."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._at_most: dict[Window, int] = {}

    def doubtful(self, changes: Changes) -> list[Window]:
        """Returns windows that may get more keys than they can have, or of which nothing is known."""
        return sorted(
            window
            for window, keys in _keys_by_window(changes).items()
            if window not in self._at_most or self._at_most[window] + len(keys) > self.most
        )

    def note(self, changes: Changes, known: KnownKeys) -> None:
        """Remembers the changes, and the keys that windows were found to have before."""
        if len(self._at_most) > MAX_REMEMBERED:
            self.forget()
        for window, keys in _keys_by_window(changes).items():
            if window in known:
                self._at_most[window] = len(known[window] | keys)
            elif window in self._at_most:
                self._at_most[window] += len(keys)

    def forget(self) -> None:
        self._at_most.clear()


def _keys_by_window(changes: Changes) -> Mapping[Window, set[str]]:
    found: defaultdict[Window, set[str]] = defaultdict(set)
    for cell in changes.cells:
        found[cell.statistic, cell.width, cell.start].add(cell.key)
    for entry in changes.entries:
        found[entry.statistic, WHOLE, ORIGIN].add(entry.key)
    for sketch in changes.sketches:
        found[sketch.statistic, sketch.width, sketch.start].add(sketch.key)
    return {window: keys for window, keys in found.items() if keys != _ONLY_KEY}
