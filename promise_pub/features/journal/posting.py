"""Events that are posted: read, and appended with an answer about each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from promise_pub.errors import BadParameter, ServerBusy
from promise_pub.event_records import NewEvent, Source
from promise_pub.features.journal.keys import key_of
from promise_pub.features.journal.members import check_text, check_time, check_topic, read_member, read_optional
from promise_pub.features.journal.ports import BATCH, Appending
from promise_pub.json_text import dump_json, parse_json

MEMBERS = ("topic", "data", "at", "id", "subject")
SOURCE: Source = "api"
JSON_TYPE = "application/json"
MAX_POSTING = 2  # requests whose events are appended at a time
TURN_TIMEOUT = 2.0  # seconds to wait for those of others; with the seconds of the database an answer comes within ten


@dataclass(frozen=True, slots=True)
class PostedEvent:
    """An event as its sender is told of it. It was `added` unless it was there before, or stood before in the same list."""

    seq: int
    id: str
    added: bool


def parse_posted(body: bytes, now: datetime, sender: str, actor: str | None) -> list[NewEvent]:
    """Reads an event, or a list of up to BATCH of them. Raises BadParameter, which names the member."""
    try:
        given = parse_json(body)
    except ValueError as error:
        raise BadParameter(f"The body is no JSON that can be used: {error}.") from None
    if isinstance(given, dict):
        return [_parse_event(given, "", now, sender, actor)]
    if not isinstance(given, list) or not 1 <= len(given) <= BATCH:
        raise BadParameter(f"The body must be an event, or a list of 1 to {BATCH:,} events.")
    return [_parse_event(one, f"events[{place}]", now, sender, actor) for place, one in enumerate(given)]


def _parse_event(given: Any, where: str, now: datetime, sender: str, actor: str | None) -> NewEvent:
    if not isinstance(given, dict):
        raise BadParameter(f"{where}: must be an object.")
    dotted = f"{where}." if where else ""
    if unknown := [name for name in given if name not in MEMBERS]:
        raise BadParameter(f"{dotted}{unknown[0][:50]}: is not known; an event has {', '.join(MEMBERS)}.")
    for name in ("topic", "data"):
        if name not in given:
            raise BadParameter(f"{dotted}{name}: is missing.")
    return make_event(
        read_member(f"{dotted}topic", check_topic, given["topic"]),
        given["data"],
        sender=sender,
        at=read_optional(f"{dotted}at", partial(check_time, now=now), given.get("at")),
        subject=read_optional(f"{dotted}subject", check_text, given.get("subject")),
        message_id=read_optional(f"{dotted}id", check_text, given.get("id")),
        actor=actor,
    )


def make_event(
    topic: str,
    data: Any,
    *,
    sender: str,
    at: datetime | None = None,
    subject: str | None = None,
    message_id: str | None = None,
    actor: str | None = None,
) -> NewEvent:
    """Returns an event with `data` as its body; without a message id it gets one. The members have been checked."""
    message_id = message_id or str(uuid4())
    return NewEvent(
        key=key_of(SOURCE, sender, message_id),
        source=SOURCE,
        topic=topic,
        body=dump_json(data).encode(),
        at=at,
        sender=sender,
        subject=subject,
        actor=actor,
        message_id=message_id,
        content_type=JSON_TYPE,
    )


async def append_events(appending: Appending, events: Sequence[NewEvent]) -> Sequence[PostedEvent]:
    """Appends events and tells of each. Raises BadParameter where PostgreSQL refuses some, and a kind of DatabaseError."""
    outcome = await appending.append_and_number(events)
    if refused := {event.key for event in outcome.refused}:
        place = next(place for place, event in enumerate(events) if event.key in refused)
        raise BadParameter(f"events[{place}]: PostgreSQL refused it. Those that it did not refuse were added.")
    new = {*outcome.added}
    told = []
    for event in events:
        told.append(PostedEvent(outcome.numbers[event.key], event.message_id or "", event.key in new))
        new.discard(event.key)
    return told


class Posting:
    """The way in for events that are posted: MAX_POSTING requests are read and appended at a time, whoever sends them.

    Whoever appends waits for the others with a connection in hand, and a run needs some.
    """

    def __init__(self, appending: Appending) -> None:
        self._appending = appending
        self._turns = asyncio.Semaphore(MAX_POSTING)

    async def post(self, body: bytes, sender: str | None) -> Sequence[PostedEvent]:
        """Appends the events of a request of this user or token; None where nobody logs in.

        Raises ServerBusy when its turn does not come, BadParameter, and a kind of DatabaseError.
        """
        async with self._turn():
            now = datetime.now(UTC)
            events = await asyncio.to_thread(parse_posted, body, now, sender or SOURCE, sender)
            return await append_events(self._appending, events)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError:
            raise ServerBusy("Too many post events at once: nothing was added. Try again.") from None
        try:
            yield
        finally:
            self._turns.release()
