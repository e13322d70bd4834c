"""Events as columns of the journal's table, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import Any

from promise_pub.event_records import Event, NewEvent
from promise_pub.text import storable, storable_json

Row = tuple[Any, ...]

COLUMNS = (
    "at",
    "key",
    "source",
    "topic",
    "body",
    "sender",
    "subject",
    "actor",
    "message_id",
    "content_type",
    "headers",
)
_but_headers_of = itemgetter(*Event._fields[:-1])
_optional_texts = attrgetter("sender", "subject", "actor", "message_id", "content_type")
MAX_INDEXED = 2000  # bytes of a text; PostgreSQL's indexes take 2,704 of all their columns
_FIRST = datetime.min.replace(tzinfo=UTC)
_encode = json.JSONEncoder(ensure_ascii=False).encode
_decode = json.JSONDecoder().decode


def is_indexable(event: NewEvent) -> bool:
    """Tells whether each text that an index holds is short enough for it."""
    indexed = (event.topic, event.subject or "", event.actor or "")
    # A character has four bytes at most.
    return sum(map(len, indexed)) <= MAX_INDEXED // 4 or all(
        len(text.encode(errors="replace")) <= MAX_INDEXED for text in indexed
    )


def row_of(event: NewEvent) -> Row:
    """Returns the values of an event that the table can store, for COLUMNS; its time is None where nobody gave one."""
    return (
        *(_moment(event.at), event.key, event.source, storable(event.topic), event.body),
        *(text and storable(text) for text in _optional_texts(event)),
        storable_json(_encode(event.headers)),
    )


def event_of(row: Mapping[str, Any]) -> Event:
    """Returns the event of a row of the table."""
    return Event._make((*_but_headers_of(row), _decode(row["headers"])))


def _moment(at: datetime | None) -> datetime | None:
    """Returns a moment in UTC; None for one before or after all time, which asyncpg reads without a zone."""
    try:
        moment = at.astimezone(UTC) if at and at.tzinfo else None
    except OverflowError:
        return None
    # As asyncpg writes it, this one is before any time.
    return None if moment == _FIRST else moment
