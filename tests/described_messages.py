"""Whether published messages are what `/asyncapi.json` says, wherever a test reads them from a queue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest import mock

import jsonschema_rs
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from promise_pub.amqp import reading
from promise_pub.settings.model import RabbitSettings
from promise_pub.web.docs import asyncapi

OF_THE_TESTS = "tests"  # the app_id of messages that a test makes itself, good or bad
DESCRIPTION = asyncapi.describe(RabbitSettings(host="localhost"))


class Inspector:
    """Looks at messages. `faults` are those that are not as described, `seen` how many it looked at.

    `ids` has each message id once: what a session left unacknowledged is delivered, and seen, again.
    """

    def __init__(self, description: Mapping[str, Any] = DESCRIPTION) -> None:
        components = description["components"]
        self._messages = [
            [
                jsonschema_rs.validator_for({**message[part], "components": components})
                for part in ("headers", "payload")
            ]
            for message in components["messages"].values()
        ]
        self.seen = 0
        self.ids: set[str] = set()
        self.faults: list[str] = []

    def look(self, properties: Mapping[str, Any], body: bytes) -> None:
        """At one message. What a test made itself is let pass."""
        if properties.get("app_id") == OF_THE_TESTS:
            return
        self.seen += 1
        self.ids.add(properties.get("message_id", ""))
        try:
            told = json.loads(body.decode())
        except ValueError:
            self.faults.append(f"no UTF-8 JSON: {body[:200]!r}")
            return
        if not any(headers.is_valid(properties) and payload.is_valid(told) for headers, payload in self._messages):
            self.faults.append(f"{properties}: {body[:200]!r}")

    def approve(self) -> None:
        """Fails the test when a message was not as described."""
        assert not self.faults, "\n".join(self.faults[:10])


def properties_of(properties: Any) -> dict[str, Any]:
    """Of a message as pamqp and aiormq have them: those that are set, times in seconds."""
    told = {name: getattr(properties, name) for name in properties.attributes()}
    return {
        name: int(value.timestamp()) if isinstance(value, datetime) else value
        for name, value in told.items()
        if value not in (None, {}, "")
    }


@contextmanager
def inspected() -> Iterator[Inspector]:
    """While the block runs, every message is looked at that the bundled consumer reads in this process."""
    inspector = Inspector()
    read = reading.parse_deliveries

    def read_and_look(buffer: bytearray) -> Any:
        found, taken = read(buffer)
        if found:
            for properties, body in _contents(bytes(buffer[:taken])):
                inspector.look(properties, body)
        return found, taken

    with mock.patch.object(reading, "parse_deliveries", read_and_look):
        yield inspector
    inspector.approve()


def _contents(data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Properties and body of each message among the frames, as pamqp reads them."""
    header: ContentHeader | None = None
    body = b""
    while data:
        length, _, part = frame.unmarshal(data)
        data = data[length:]
        if isinstance(part, ContentHeader):
            header, body = part, b""
        elif isinstance(part, ContentBody):
            body += part.value or b""
        if header and len(body) == header.body_size:
            yield properties_of(header.properties), body
            header = None
