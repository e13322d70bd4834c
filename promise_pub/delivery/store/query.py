"""Filters and order of a list of runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from promise_pub.parameters import Mode
from promise_pub.records import State, Verdict


class Sort(StrEnum):
    """Keys by which runs can be sorted."""

    STARTED = "started"
    """The time when the file was received: runs start in that order."""
    FILE = "file"
    """The name of the file, ignoring case."""
    SENT = "sent"
    """The number of rows that the broker confirmed."""
    SECONDS = "seconds"
    """The duration of the run."""


@dataclass(frozen=True, slots=True)
class RunSelection:
    """Runs that match every filter set here. Runs that are equal in `sort` are ordered by id.

    `file` is a part of the file's name, ignoring case; no character is a wildcard.
    """

    state: State | None = None
    verdict: Verdict | None = None
    mode: Mode | None = None
    file: str = ""
    sort: Sort = Sort.STARTED
    descending: bool = True

    @property
    def filtered(self) -> bool:
        """True when a filter is set."""
        return bool(self.state or self.verdict or self.mode or self.file)


NEWEST_FIRST = RunSelection()
