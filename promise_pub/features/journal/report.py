"""Events as pages, API and commands show them. Pure."""

from __future__ import annotations

from base64 import b64encode
from codecs import getincrementaldecoder
from dataclasses import dataclass
from typing import Any

from promise_pub.event_records import Event
from promise_pub.json_text import dump_json, parse_json
from promise_pub.text import counted, printable
from promise_pub.times import rfc3339

MAX_PARSED = 256 * 1024  # bytes of a body that is read as JSON: some 10 ms at worst, for which no other thread runs
MAX_PRETTY = 64 * 1024  # bytes of a body that is indented, which may make thirty times as much of it
MAX_SHOWN = 100_000  # characters of a body on its page
MAX_DUMPED = 1024  # bytes of a body that is no text, in hexadecimal
MAX_EXCERPT = 120  # characters
LINE = 16  # bytes of a line in hexadecimal

COLUMNS = (
    *("seq", "at", "received_at", "source", "topic", "sender", "subject", "actor", "message_id", "content_type"),
    *("headers", "size", "body", "body_base64"),
)


def _describe(event: Event) -> dict[str, Any]:
    """Returns all but the body."""
    return {
        "seq": event.seq,
        "at": rfc3339(event.at, "microseconds"),
        "received_at": rfc3339(event.received_at, "microseconds"),
        "source": event.source,
        "topic": event.topic,
        "sender": event.sender,
        "subject": event.subject,
        "actor": event.actor,
        "message_id": event.message_id,
        "content_type": event.content_type,
        "headers": dict(event.headers),
    }


def encode_event(event: Event) -> dict[str, Any]:
    """Returns the event as the API tells it: `data` is the value of its body, null where that is no JSON or over MAX_PARSED."""
    return {**_describe(event), "size": len(event.body), "data": _parse_body(event.body)}


def encode_line(event: Event) -> dict[str, Any]:
    """Returns the event as a file has it, with its key and with its body byte for byte."""
    return {"key": str(event.key), **_describe(event), **_encode_body(event.body)}


def list_cells(event: Event) -> list[object]:
    """Returns the values in the order of COLUMNS."""
    described, body = _describe(event), _encode_body(event.body)
    cells = {**described, "headers": dump_json(described["headers"]), "size": len(event.body), **body}
    return [cells.get(name) for name in COLUMNS]


def _parse_body(body: bytes) -> Any:
    if len(body) > MAX_PARSED:
        return None
    try:
        return parse_json(body)
    except ValueError:
        return None


def _encode_body(body: bytes) -> dict[str, str]:
    text = _decode(body)
    return {"body_base64": b64encode(body).decode()} if text is None else {"body": text}


def _decode(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def excerpt(body: bytes) -> str:
    """Returns the beginning of a body in one line, which drives no terminal."""
    start = body[: 4 * MAX_EXCERPT]
    try:
        # A character that is cut in two is no sign that the body is no text.
        text = getincrementaldecoder("utf-8")().decode(start, final=start == body)
    except UnicodeDecodeError:
        return f"{counted(len(body), 'byte')}, no text"
    line = printable(" ".join(text.split()))
    return f"{line[:MAX_EXCERPT]}…" if len(line) > MAX_EXCERPT or start != body else line


@dataclass(frozen=True, slots=True)
class ShownBody:
    """A body as its page shows it: in which way, and whether that is all of it."""

    kind: str
    text: str
    whole: bool


def show_body(body: bytes) -> ShownBody:
    """Returns JSON indented where it is small, other text as it came, anything else in hexadecimal."""
    text = _decode(body)
    if text is None:
        return ShownBody("bytes", _dump_bytes(body[:MAX_DUMPED]), len(body) <= MAX_DUMPED)
    kind = "text"
    if len(body) <= MAX_PRETTY:
        try:
            kind, text = "JSON", dump_json(parse_json(text), indent=2)
        except ValueError:
            kind = "text"
    return ShownBody(kind, text[:MAX_SHOWN], len(text) <= MAX_SHOWN)


def _dump_bytes(body: bytes) -> str:
    lines = (body[at : at + LINE] for at in range(0, len(body), LINE))
    return "\n".join(f"{n * LINE:08x}  {line.hex(' '):<{3 * LINE}} {_as_ascii(line)}" for n, line in enumerate(lines))


def _as_ascii(line: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)


def print_event(event: Event) -> str:
    """Returns the event in a line for a terminal."""
    who = " ".join(part for part in (event.sender, event.subject) if part)
    words = [str(event.seq), rfc3339(event.at, "seconds"), event.topic, *([who] if who else [])]
    return f"{printable('  '.join(words))}  {excerpt(event.body)}".rstrip()
