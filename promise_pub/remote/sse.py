"""Reads server-sent events from bytes, wherever these are cut. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024  # a run that names a million ranges of rows has less

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event of a stream. `name` is `message` where the stream gives none."""

    name: str
    data: str


class EventReader:
    """A reader of a stream's bytes as they come. An event that the stream ends within is dropped.

    Ids are not kept: a client that reconnects wants the end again. `retry` is the pause in seconds that the stream
    asks for before that, None where it does not.
    """

    def __init__(self) -> None:
        self.retry: float | None = None
        self._line = bytearray()
        self._begun = False
        self._after_return = False
        self._name, self._data = "", list[str]()
        self._held = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Returns the events that these bytes complete. Raises ValueError for one over MAX_EVENT_BYTES."""
        if self._after_return and chunk:  # a line's end may be cut in two
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        self._after_return = chunk.endswith(b"\r") or (self._after_return and not chunk)
        *whole, rest = _LINE_END.split(chunk)
        events = []
        for line in whole:
            self._line += line
            if event := self._take(bytes(self._line)):
                events.append(event)
            self._line.clear()
        self._line += rest
        if self._held + len(self._line) > MAX_EVENT_BYTES:
            raise ValueError(f"an event is over {MAX_EVENT_BYTES:,} bytes")
        return events

    def _take(self, line: bytes) -> Event | None:
        if not self._begun:
            self._begun, line = True, line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        self._held += len(line)
        field, _, value = line.decode("utf-8", "replace").partition(":")
        self._note(field, value.removeprefix(" "))
        return None

    def _note(self, field: str, value: str) -> None:
        """Takes one field. A comment is a field without a name and is ignored."""
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "retry" and value.isascii() and value.isdigit() and len(value) < 10:
            self.retry = int(value) / 1000

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._held = "", [], 0
        return Event(name or "message", "\n".join(data)) if data else None
