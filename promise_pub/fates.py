"""Fates of the records of a file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    """The end of one record. Every record of a file has exactly one; they stand in the order in which one can happen."""

    REJECTED = "rejected"
    """No row: it cannot be published."""
    UNPUBLISHED = "unpublished"
    RETURNED = "returned"
    """No queue took it."""
    NACKED = "nacked"
    """The broker refused it."""
    UNCONFIRMED = "unconfirmed"
    MISSING = "missing"
    """Confirmed by the broker, and not received."""
    UNUSABLE = "unusable"
    REPEAT = "repeat"
    """Received and not saved: an earlier row has its mail."""
    HELD_BEFORE = "held_before"
    """Received and not saved: the table had its mail before the run."""
    UNSAVED = "unsaved"
    """Received and not saved, for no known reason."""
    SAVED = "saved"
    UNKNOWN = "unknown"
    """Published; nothing proves what became of it."""

    @property
    def needs_attention(self) -> bool:
        """True where somebody has to do something for the row to arrive."""
        return self not in _SETTLED


_SETTLED = frozenset({Fate.REPEAT, Fate.HELD_BEFORE, Fate.SAVED, Fate.UNKNOWN})

ATTENTION = "attention"
"""Stands for all fates that need somebody's attention."""
LOST_FATES = tuple(fate for fate in Fate if fate.needs_attention and fate is not Fate.REJECTED)
"""Fates of rows that need somebody's attention."""
FATES_IN_NEED = (*LOST_FATES, Fate.REJECTED)
"""Fates of records that need somebody's attention. Those that are no rows stand last: nothing was lost of them."""


def count_in_need(fates: Mapping[Fate, int] | Mapping[str, int] | None) -> dict[Fate, int]:
    """Returns the number of records by each fate that needs somebody, where there are any. Leaves out fates that only
    a newer server knows."""
    counts = {fate: (fates or {}).get(fate, 0) for fate in FATES_IN_NEED}
    return {fate: count for fate, count in counts.items() if count}


class RowGroup(NamedTuple):
    """The number of records that have one fate for one reason. A rejected record has a reason of its own, so their
    group has none."""

    fate: Fate
    rows: int
    reason: str = ""
