"""Messages of the bus read as events. Pure: whatever a broker relays becomes an event. Nothing here raises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from promise_pub.amqp.properties import Properties, decode_table
from promise_pub.event_records import NewEvent
from promise_pub.features.journal.keys import key_of
from promise_pub.times import rfc3339

MAX_EVENT = 64 * 1024  # bytes of a body; of a longer one only the size is kept
# Bytes of headers on the wire. As JSON they are less than 64 KB; and the time to decode them, which grows with the square,
# stays within some milliseconds.
MAX_HEADERS = 8 * 1024
HEADERS_GROWTH = 7  # times as long may headers be as JSON
MAX_DEPTH = 16  # tables and arrays of headers within each other; no more are decoded
MAX_SUBJECT = 255  # characters; an index cannot hold much more. The headers have all of it
JOURNAL_HEADER = "x-journal"
"""The header that names the journal that an event comes from."""
CUT = "x-cut"
"""The header with the size of a body that was too long to be kept."""
HEADERS_CUT = "x-cut-headers"
"""The header with the size of headers that were too many, too deep, or could not be decoded."""


class BusMessage(NamedTuple):
    """A delivery of the bus. `size` is that of its body, which is None where it is longer than MAX_EVENT."""

    tag: int
    routing_key: bytes
    properties: Properties
    size: int
    body: bytes | None

    @property
    def weight(self) -> int:
        """Returns the bytes of its body, and of its headers as JSON, at most."""
        return len(self.body or b"") + HEADERS_GROWTH * len(self.properties.headers)


class BusEvent(NamedTuple):
    """An event of the bus. `own` tells that it went there from this journal, whose name it bears."""

    event: NewEvent
    own: bool
    headers_cut: bool


def read_message(message: BusMessage, journal: str) -> BusEvent:
    """Returns the event that a message is. Its time is None where its sender gives none that can be used."""
    properties = message.properties
    headers, headers_cut = _read_headers(properties.headers, properties.headers_size)
    own = headers.get(JOURNAL_HEADER) == journal
    at = _moment(headers.get("at")) or _moment(headers.get("sent-at")) or _since_1970(properties.timestamp)
    subject = headers.get("subject")
    if message.body is None:
        headers = {**headers, CUT: message.size}
    app_id, message_id = _id(properties.app_id), _id(properties.message_id)
    event = NewEvent(
        key=key_of("bus", app_id, message_id),
        source="bus",
        topic=_text(message.routing_key),
        body=message.body or b"",
        at=at,
        sender=app_id or _id(properties.user_id),
        subject=subject[:MAX_SUBJECT] or None if isinstance(subject, str) else None,
        message_id=message_id,
        content_type=_text(properties.content_type) or None,
        headers=headers,
    )
    return BusEvent(event, own, headers_cut)


def _read_headers(table: bytes, size: int) -> tuple[Mapping[str, Any], bool]:
    """Returns headers as JSON, and whether these are only the size of those that cannot be read."""
    if not size:
        return {}, False
    try:
        return {_plain(name): _as_json(value, 1) for name, value in decode_table(table).items()}, False
    except ValueError:
        return {HEADERS_CUT: size}, True


def _as_json(value: Any, depth: int) -> Any:
    """Returns a value of a table as JSON that PostgreSQL takes. Raises ValueError where it is nested too deep."""
    if isinstance(value, str):
        return _plain(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray):
        return _id(value) or ""
    if isinstance(value, datetime):
        return rfc3339(value, "auto")
    if isinstance(value, Decimal):
        return str(value)
    if depth == MAX_DEPTH:
        raise ValueError("The headers are nested too deep.")
    if isinstance(value, list):
        return [_as_json(one, depth + 1) for one in value]
    return {_plain(name): _as_json(one, depth + 1) for name, one in value.items()}


def _moment(value: object) -> datetime | None:
    """Reads a moment of RFC 3339. Its offset is needed."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        # Of the first and the last year a part is not in UTC's.
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _since_1970(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(data: bytes) -> str:
    return _plain(data.decode("utf-8", "replace"))


def _id(data: bytes | bytearray) -> str | None:
    """Returns text in which different bytes stay different; None for none."""
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00") or None


def _plain(text: str) -> str:
    """Returns text that PostgreSQL takes: without NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
