"""Which runs of the history somebody wants to see, and in which order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from promise_pub.parameters import Mode
from promise_pub.records import State, Verdict


class Sort(StrEnum):
    """What the history can be sorted by."""

    STARTED = "started"
    """When the file had come in: runs start in that order."""
    FILE = "file"
    """Its name, upper and lower case alike."""
    SENT = "sent"
    """Rows that the broker confirmed."""
    SECONDS = "seconds"
    """How long the run took in all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs that meet all that is set here. Runs that are equal in `sort` stand in the order of their ids.

    `file` is a part of the file's name, upper and lower case alike; every character stands for itself.
    """

    state: State | None = None
    verdict: Verdict | None = None
    mode: Mode | None = None
    file: str = ""
    sort: Sort = Sort.STARTED
    descending: bool = True

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.state or self.verdict or self.mode or self.file)


NEWEST_FIRST = Selection()
