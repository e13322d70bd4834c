"""Protocols between the parts of usage, and to the journal that it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from promise_pub.features.usage.records import Acted, Action, Question, Usage


class Journal(Protocol):
    """The journal as usage reads it: promise-pub's own events alone, by full topics. Raises a kind of DatabaseError."""

    async def told_topics(self) -> Sequence[str]:
        """Returns the topics of events that somebody told."""

    def actors(self, connection: Any, topics: Sequence[str], since: datetime, until: datetime) -> AsyncIterator[Acted]:
        """Yields who acted from a moment to before another, each once, read on this connection."""

    async def first_at(self, topics: Sequence[str]) -> datetime | None:
        """Returns when the first of these events happened that is kept."""

    async def kept_since(self) -> datetime | None:
        """Returns a moment from which on every own event is kept; None where none was ever deleted."""


class UsageReader(Protocol):
    """Condensed days, as all faces ask for them. Raises a kind of DatabaseError."""

    async def count(self, question: Question) -> Usage: ...

    async def day(self, day: date, action: Action) -> Sequence[Acted]:
        """Returns who acted on a condensed day, by name."""

    async def forget(self, actor: str) -> int:
        """Puts another, random name in place of one, for good, and returns the number of days that it was found on."""
