"""Events: those that promise-pub tells of itself, and all as the journal keeps them. Frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

MAX_AHEAD = timedelta(minutes=5)
"""The time that an event may have happened after it arrived; its sender's clock is wrong beyond."""

Source = Literal["own", "bus", "api", "import"]
"""The party that vouches for an event: promise-pub itself, the bus, a user of the API, a file."""

_NO_HEADERS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """An event of promise-pub itself, as it is told. `topic` lacks the prefix of the bus, `body` is a JSON object.

    Told again with the same `message_id` it is the same event. `actor` is the user or token that did it; None where
    nobody has to log in.
    """

    message_id: str
    at: datetime
    topic: str
    body: Mapping[str, Any]
    subject: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The state of what is told of a run: the number of its last event, the run's state in it, and the sums of rows up to it."""

    number: int = 0
    state: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)


class NewEvent(NamedTuple):
    """An event that is to be appended to the journal. Two with the same `key` are one.

    `at` is the moment it happened, as its sender says; None: that of its arrival. `topic` is its routing key, at most 255
    bytes; `body` is kept byte for byte; `headers` are JSON.
    """

    key: UUID
    source: Source
    topic: str
    body: bytes
    at: datetime | None = None
    sender: str | None = None
    subject: str | None = None
    actor: str | None = None
    message_id: str | None = None
    content_type: str | None = None
    headers: Mapping[str, Any] = _NO_HEADERS


class Event(NamedTuple):
    """An event of the journal, with all that a NewEvent has. `seq` counts from 1 without holes, in the order of commits;
    `received_at` never falls."""

    seq: int
    key: UUID
    source: Source
    topic: str
    body: bytes
    at: datetime
    received_at: datetime
    sender: str | None = None
    subject: str | None = None
    actor: str | None = None
    message_id: str | None = None
    content_type: str | None = None
    headers: Mapping[str, Any] = _NO_HEADERS


class Bounds(NamedTuple):
    """Numbers of the first event that is kept and of the last one; the first is one more where there is none."""

    oldest: int
    newest: int


class Mark(NamedTuple):
    """An event that a user told, as a deployment: shown on charts."""

    at: datetime
    seq: int
    text: str


class Acted(NamedTuple):
    """Somebody's actions of one kind in some time."""

    actor: str
    times: int
    first_at: datetime
    last_at: datetime
