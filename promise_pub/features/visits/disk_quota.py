"""The disk that page hits may take: what has to go, and what may come. In bytes, and without a database.

A table does not shrink when hits are deleted: they leave room inside it once it is vacuumed. So a part of the quota is
kept free, for what is deleted and not yet vacuumed, and for pages that are not full.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

PARTS = 16  # of a quota, in which the others are measured
MAX_KEPT = 12  # parts; hits beyond are deleted, the oldest first
MAX_FILLED = 14  # parts, with what is left of deleted hits
MAX_UNKNOWN = 4  # parts for hits of unknown visitors
STEP = 1  # part that may come between two sweeps of a server


@dataclass(frozen=True, slots=True)
class DiskUse:
    """The disk that hits take: `size` with indexes and free room; estimates of kept hits, `unknown` ones among them, and
    of what is `dead`, deleted and not yet vacuumed."""

    size: int
    kept: int
    unknown: int
    dead: int


@dataclass(frozen=True, slots=True)
class DiskQuota:
    """A quota of `size` bytes, of which MAX_UNKNOWN parts are for hits of unknown visitors."""

    size: int

    @property
    def step(self) -> int:
        return self._parts(STEP)

    @property
    def step_of_unknown(self) -> int:
        return self.step * MAX_UNKNOWN // PARTS

    def excess(self, use: DiskUse) -> int:
        """Returns the bytes of hits that have to go, whoever was the visitor."""
        return max(0, use.kept - self._parts(MAX_KEPT))

    def excess_of_unknown(self, use: DiskUse) -> int:
        """Returns the bytes of hits of unknown visitors that have to go, so that a step of newer ones may come."""
        return max(0, use.unknown - self._parts(MAX_UNKNOWN - STEP))

    def room(self, use: DiskUse) -> int:
        """Returns the bytes that may come: the disk may grow by them, or they are free inside the table."""
        return max(0, self.size - use.size, self._parts(MAX_FILLED) - use.kept - use.dead)

    def room_for_import(self, use: DiskUse) -> int:
        """Returns the bytes that may come and that no sweep deletes."""
        return max(0, min(self.room(use), self._parts(MAX_KEPT) - use.kept))

    def room_for_unknown(self, use: DiskUse) -> int:
        return max(0, self._parts(MAX_UNKNOWN) - use.unknown)

    def _parts(self, count: int) -> int:
        return self.size * count // PARTS


class Room:
    """The bytes that a server's hits may take until its next sweep. `is_low` is set when half of them are taken.

    Hits of unknown visitors have their part of them, so that they never keep others out.
    """

    def __init__(self, quota: DiskQuota) -> None:
        self.quota = quota
        self.is_low = asyncio.Event()
        self.taken = 0
        self.refused = 0
        """Hits that there was no room for, since the last sweep."""
        self._left, self._left_to_unknown = quota.step, quota.step_of_unknown

    def take(self, weight: int, *, known: bool) -> bool:
        """Takes room for a hit of so many bytes, and returns False if there is none."""
        if weight > (self._left if known else min(self._left, self._left_to_unknown)):
            self.refused += 1
            self.is_low.set()
            return False
        self.taken += weight
        self._left -= weight
        if not known:
            self._left_to_unknown -= weight
        if 2 * self._left < self.quota.step or 2 * self._left_to_unknown < self.quota.step_of_unknown:
            self.is_low.set()
        return True

    def refill(self, use: DiskUse, taken: int) -> None:
        """Makes room after a sweep; `taken` is how much had been taken when the use of the disk was measured."""
        self._left = min(self.quota.step, self.quota.room(use)) - (self.taken - taken)
        self._left_to_unknown = min(self._left * MAX_UNKNOWN // PARTS, self.quota.room_for_unknown(use))
        self.refused = 0
        self.is_low.clear()
