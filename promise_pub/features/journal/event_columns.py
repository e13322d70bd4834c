"""Events as columns of the journal's table, and back. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from promise_pub.event_records import Event, NewEvent

_COLUMNS = tuple(field.name for field in fields(Event))
MAX_INDEXED = 2000  # bytes of a text; PostgreSQL's indexes take 2,704 of all their columns
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_encode = json.JSONEncoder(ensure_ascii=False).encode
# A backslash that is escaped is passed over as a whole, so that no NUL is seen in what comes after it.
_ESCAPED_NUL = re.compile(r"(\\\\)|\\u0000")


def is_indexable(event: NewEvent) -> bool:
    """Tells whether each text that an index holds is short enough for it."""
    indexed = (event.topic, event.subject or "", event.actor or "")
    # A character has four bytes at most.
    return sum(map(len, indexed)) <= MAX_INDEXED // 4 or all(
        len(text.encode(errors="replace")) <= MAX_INDEXED for text in indexed
    )


def columns_of(events: Sequence[NewEvent]) -> dict[str, list[Any]]:
    """Returns an array for each column."""
    texts = ("topic", "sender", "subject", "actor", "message_id", "content_type")
    return {
        **{name: [getattr(event, name) for event in events] for name in ("key", "source", "at", "body")},
        **{name: _storable_column([getattr(event, name) for event in events]) for name in texts},
        "headers": [_storable_json(event.headers) for event in events],
    }


def _storable_column(texts: list[str | None]) -> list[str | None]:
    return texts if _is_plain("".join(filter(None, texts))) else [*map(storable, texts)]


def event_of(row: Mapping[str, Any]) -> Event:
    """Returns the event of a row of the table."""
    return Event(**{**{name: row[name] for name in _COLUMNS}, "headers": json.loads(row["headers"])})


def storable(text: str | None) -> str | None:
    """Replaces NUL and lone surrogates, which PostgreSQL does not store."""
    if text is None or _is_plain(text):
        return text
    return text.encode(errors="replace").decode().replace("\0", _REPLACEMENT)


def _is_plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _storable_json(value: Mapping[str, Any]) -> str | None:
    text = storable(_encode(value))
    return _ESCAPED_NUL.sub(lambda found: found[1] or _REPLACEMENT, text) if text and r"\u0000" in text else text
