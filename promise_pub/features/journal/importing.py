"""Events of a file: a JSON object per line, as format=jsonl gives them.

A line has `topic`, and `body` or `body_base64`; the other members of an event may be missing. A missing key is derived from
the line and the number of equal ones before it: a file that is imported again adds nothing, also where other lines were
deleted or corrected. `seq`, `source` and `received_at` are not taken over: the journal gives its own.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID

from promise_pub.event_records import NewEvent, Source
from promise_pub.features.journal.errors import EventsRefused
from promise_pub.features.journal.event_columns import MAX_INDEXED
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.ports import BATCH, BATCH_BYTES, Appending
from promise_pub.json_text import dump_json, parse_json
from promise_pub.text import counted
from promise_pub.times import parse_moment
from promise_pub.topics import MAX_BYTES as MAX_TOPIC

SOURCE: Source = "import"
MAX_LINE = 32 * 1024**2  # bytes; a file may have no line ends
MAX_PROBLEMS = 20  # that are reported
MAX_HEADERS = 64 * 1024  # characters of their JSON, which those of the bus never exceed

_LEFT_OUT = ("seq", "source", "received_at")
_MEMBERS = (
    *("key", *_LEFT_OUT, "at", "topic", "sender", "subject", "actor"),
    *("message_id", "content_type", "headers", "body", "body_base64"),
)


class NumberedEvent(NamedTuple):
    """An event, and the line that it stands on."""

    line: int
    event: NewEvent


async def import_events(journal: Appending, file: BinaryIO, name: str) -> str:
    """Appends the events of a file in batches, and returns in words how many these were.

    Raises EventsRefused for lines that are no events. All before the first of them is in the journal
    then, and where PostgreSQL refuses one, all of its batch but that; no line of a later batch is.
    """
    added = known = 0
    problems: list[str] = []
    batches = read_events(file, problems)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        appended = await journal.append([event for _, event in batch])
        added, known = added + appended.added, known + appended.known
        if refused := {event.key for event in appended.refused}:
            problems += [f"line {line}: PostgreSQL refused it" for line, event in batch if event.key in refused]
            break
    told = f"{counted(added + known, 'event')} imported, {added:,} of them new"
    if problems:
        raise EventsRefused(
            "\n".join([f"{name}: {told}, and not all. Correct these lines, then import it again:", *problems])
        )
    return told


def read_events(file: BinaryIO, problems: list[str]) -> Iterator[list[NumberedEvent]]:
    """Yields the events before the first problem in batches. It reads meanwhile: run it in a thread.

    Memory is constant, but for some 100 bytes for each line without a key.

    Problems are added to `problems`, up to MAX_PROBLEMS of them; the rest of the file is only searched for further ones.
    """
    batch, size = list[NumberedEvent](), 0
    seen = Counter[bytes]()
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
        try:
            if len(line) > MAX_LINE:
                raise ValueError(f"is longer than {MAX_LINE:,} bytes; the rest of the file was not read")
            if not line.strip():
                continue
            event = parse_line(line, seen)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
        else:
            if not problems:
                batch.append(NumberedEvent(number, event))
                size += len(line)
        if len(line) > MAX_LINE or len(problems) >= MAX_PROBLEMS:
            break
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def parse_line(line: bytes, seen: Counter[bytes]) -> NewEvent:
    """Returns the event of a line. Raises ValueError with the problem as its message.

    `seen` counts the lines without a key, by their digest.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    try:
        given = parse_json(text)
    except ValueError as error:
        raise ValueError(f"is no JSON that can be used: {error}") from None
    if not isinstance(given, dict):
        raise ValueError("is not a JSON object")
    if unknown := [name for name in given if name not in _MEMBERS]:
        raise ValueError(f"{unknown[0][:50]!r} is not known: an event has {', '.join(_MEMBERS)}")
    return NewEvent(
        key=_optional(given, "key", _uuid) or _key_of_line(text, seen),
        source=SOURCE,
        topic=_required(given, "topic", _topic),
        body=_body(given),
        at=_optional(given, "at", _time),
        sender=_optional(given, "sender", _text),
        subject=_optional(given, "subject", _text),
        actor=_optional(given, "actor", _text),
        message_id=_optional(given, "message_id", _text),
        content_type=_optional(given, "content_type", _text),
        headers=_optional(given, "headers", _object) or {},
    )


def _key_of_line(text: str, seen: Counter[bytes]) -> UUID:
    digest = blake2b(text.strip().encode(), digest_size=16).digest()
    seen[digest] += 1
    return key_of(SOURCE, "", f"{seen[digest]}:{digest.hex()}")


def _optional(given: Mapping[str, Any], name: str, cast: Callable[[Any], Any]) -> Any:
    value = given.get(name)
    if value is None:
        return None
    try:
        return cast(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{name} cannot be {str(value)[:50]!r}") from None


def _required(given: Mapping[str, Any], name: str, cast: Callable[[Any], Any]) -> Any:
    if given.get(name) is None:
        raise ValueError(f"{name} is missing")
    return _optional(given, name, cast)


def _body(given: Mapping[str, Any]) -> bytes:
    if given.get("body") is not None and given.get("body_base64") is not None:
        raise ValueError("body and body_base64 cannot be given together")
    encoded: bytes | None = _optional(given, "body_base64", _base64)
    return _required(given, "body", _bytes) if encoded is None else encoded


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bytes(value: object) -> bytes:
    return _string(value).encode()


def _base64(value: object) -> bytes:
    try:
        return b64decode(_string(value), validate=True)
    except binascii.Error:
        raise ValueError from None


def _uuid(value: object) -> UUID:
    return UUID(_string(value))


def _text(value: object) -> str:
    """Returns what PostgreSQL can keep."""
    text = _string(value)
    if "\0" in text or len(text.encode()) > MAX_INDEXED:
        raise ValueError
    return text


def _topic(value: object) -> str:
    """Returns a topic as the bus may have it, which is any routing key."""
    text = _text(value)
    if len(text.encode()) > MAX_TOPIC:
        raise ValueError
    return text


def _time(value: object) -> datetime:
    return parse_moment(_string(value))


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(dump_json(value)) > MAX_HEADERS:
        raise TypeError
    return value
