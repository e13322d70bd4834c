"""Reads the consumer's answers. No I/O."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from promise_pub.delivery.evidence.digest import is_written
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.errors import ConsumerComplaint, ConsumerError, ConsumerGarbage, ConsumerRefused
from promise_pub.json_text import parse_json
from promise_pub.records import SessionView

NOT_YET = "0001-01-01T00:00:00Z"  # the end of a session that has not ended
MAX_QUEUE_NAME = 255  # bytes, in AMQP
MAX_SEARCHED = 64 * 1024  # characters of an answer searched for a uuid; more would hold the event loop
MAX_RANGES = 10_000  # in a list of row numbers; with more, it is neither told nor believed
MAX_UUID = 1000  # characters of one that the consumer can still be asked to remove

_COUNTS = {
    "received": "checksum",
    "saved": "saved",
    "duplicates": "duplicates",
    "invalid": "invalid",
}
# A session's uuid wherever an answer has it under its name: nested, or cut off.
_UUID_KEY = re.compile(r'"uuid"\s*:\s*("(?:[^"\\]|\\.)*"|\d+)')
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_JSON, _MARKUP = ("{", "["), ("<",)
# Status of a proxy that has asked a consumer, which broke off or took too long.
_BEHIND_A_PROXY = (502, 504)


def parse_session(text: str, path: str, uuid: str | None = None) -> SessionView:
    """Returns the session in an answer; `uuid`, the one asked about, stands in where the answer leaves it out.

    Raises ConsumerComplaint for plain text, ConsumerGarbage for JSON that is broken, no session, or another one.
    """
    try:
        parsed = parse_json(text)
    except ValueError as error:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            raise ConsumerGarbage(f"The consumer's {path} answered {quote(text)}, which is no JSON: {error}") from None
        raise ConsumerComplaint(f"The consumer's {path} answered {quote(text)}, not a session") from None
    if not isinstance(parsed, dict):
        raise ConsumerGarbage(f"The consumer's {path} answered {quote(text)}, not a session object")
    named = uuid if parsed.get("uuid") is None else parsed["uuid"]
    if not isinstance(named, str) or not _is_text(named):
        raise ConsumerGarbage(f"The consumer's {path} gave a session without a usable uuid: {quote(text)}")
    if uuid is not None and named.casefold() != uuid.casefold():
        raise ConsumerGarbage(f"The consumer's {path} answered about session {quote(named)}, not {uuid}")
    counts = {ours: _parse_count(parsed, theirs, path) for ours, theirs in _COUNTS.items()}
    return SessionView(
        uuid=uuid or named,
        **counts,
        digest=parsed["digest"] if is_written(parsed.get("digest")) else None,
        rows=_parse_ranges(parsed.get("rows")),
        duplicate_rows=_parse_ranges(parsed.get("duplicate_rows")),
        invalid_rows=_parse_ranges(parsed.get("invalid_rows")),
        ended=parsed["ended"] != NOT_YET if isinstance(parsed.get("ended"), str) else None,
    )


def parse_new_session(text: str, path: str) -> SessionView:
    """Returns the session that `/create/` answered, whose uuid can name a queue. Raises as `parse_session` does."""
    session = parse_session(text, path)
    if not 0 < len(session.uuid.encode()) <= MAX_QUEUE_NAME:
        raise ConsumerGarbage(f"The consumer's {path} gave no uuid that can name a queue: {quote(text)}")
    return session


def find_session(text: str, error: ConsumerError) -> SessionView | None:
    """Returns the session that is named in an answer to `/create/` which `error` says is no session.

    It is the one of the key `uuid`, or the only UUID of a plain text. Elsewhere a UUID may be that of a request.
    """
    text = text[:MAX_SEARCHED]
    found = _UUID_KEY.search(text)
    plain = not isinstance(error, ConsumerRefused) and not _begins(text, *_JSON, *_MARKUP)
    with suppress(ValueError):
        named = {str(parse_json(found[1]))} if found else set(_UUID.findall(text) if plain else ())
        if len(named) == 1 and _is_text(uuid := named.pop()) and 0 < len(uuid) <= MAX_UUID:
            return SessionView(uuid)
    return None


def may_have_created(text: str, error: ConsumerError) -> bool:
    """Tells whether the consumer may have created a session although its answer names none.

    A proxy that waited in vain has passed the request on; success without a session may hide one; and the answer of a
    server that failed may hold a UUID. A complaint in plain text created none.
    """
    if isinstance(error, ConsumerRefused):
        failed = error.status >= 500 and _UUID.search(text[:MAX_SEARCHED])
        return error.status in _BEHIND_A_PROXY or bool(failed)
    return isinstance(error, ConsumerGarbage) or not text.strip() or _begins(text, *_JSON)


def decode(body: bytearray) -> str:
    """Returns the text of an answer, without the byte order mark that some write before JSON."""
    return body.decode("utf-8-sig", "replace")


def quote(text: str) -> str:
    """Returns the beginning of a text in quotes, for a message."""
    return repr(text if len(text) <= 200 else text[:200] + "…")


def _parse_count(parsed: dict[str, Any], key: str, path: str) -> int | None:
    value = parsed.get(key)
    if value is None:
        return None
    # Some write whole numbers as 7.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ConsumerGarbage(f"The consumer's {path} gave {quote(repr(value))} for {key}, which is not a count")
    return value


def _parse_ranges(value: object) -> str | None:
    # Other consumers may use the key for something else.
    if not isinstance(value, str) or value.count(",") >= MAX_RANGES:
        return None
    with suppress(ValueError):
        RowRanges.parse(value)
        return value
    return None


def _is_text(value: str) -> bool:
    # JSON can spell half a character, and NUL, which neither AMQP's names nor PostgreSQL take.
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _begins(text: str, *marks: str) -> bool:
    return text.lstrip().startswith(marks)
