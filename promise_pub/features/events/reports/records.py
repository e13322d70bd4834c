"""Frozen values of events, as reports are given them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedEvent:
    """An event on the line of time. `at` and `until`, its end where it is known, are in UTC. `type` and `label` are those of
    its source; `text` is one line for people."""

    at: datetime
    until: datetime | None = None
    type: str
    label: str
    kind: str | None = None
    text: str
    url: str | None = None
    host: str | None = None
    user: str | None = None
    tags: Sequence[str] = ()
