"""Protocols between statistics, the journal that they are counted from, and those who read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from promise_pub.event_records import Bounds as Bounds
from promise_pub.event_records import Event
from promise_pub.event_records import Mark as Mark


class Journal(Protocol):
    """The journal, as statistics read it. Every method raises a kind of DatabaseError."""

    async def bounds(self) -> Bounds: ...

    async def after(self, position: int, most: int) -> Sequence[Event]:
        """Returns the events that follow this number, in their order: `most` at most, and some 4 MB of bodies at most, but
        one at least where there is one. What was swept is left out."""

    async def first_since(self, moment: datetime) -> int:
        """Returns the number of the first event that arrived at or after this moment, one past the last where none did."""

    async def marks(self, since: datetime, until: datetime, most: int) -> Sequence[Mark]:
        """Returns the newest of what was told by users in this time, ascending."""

    async def keep_from(self, reader: str, position: int) -> None:
        """Keeps events after this number from being swept, while this is repeated at least once a week."""
