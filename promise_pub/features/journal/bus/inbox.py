"""Messages in hand: delivered on one channel, and not yet acknowledged there."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from promise_pub.amqp.frames import parse_routed
from promise_pub.amqp.properties import parse_properties
from promise_pub.features.journal.ports import BATCH_BYTES
from promise_pub.features.journal.reading import MAX_EVENT, MAX_HEADERS, BusMessage

BATCH = 500  # messages; another batch comes while one is appended
BATCH_DELAY = 1.0  # seconds that a message waits for others


class Inbox:
    """The messages of one channel. They are as many as its prefetch allows, and none has a body longer than MAX_EVENT."""

    def __init__(self) -> None:
        self._messages: deque[BusMessage] = deque()
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        # The moment by which the first message has waited long enough.
        self._due = 0.0
        self._come = asyncio.Event()
        self._ended = asyncio.Event()

    def take_frames(self, buffer: bytearray) -> int:
        """Takes deliveries: the channel's tap."""
        found, taken = parse_routed(buffer, MAX_EVENT)
        if found:
            if not self._messages:
                self._due = self._loop.time() + BATCH_DELAY
            for tag, key, properties, size, body in found:
                message = BusMessage(tag, key, parse_properties(properties, MAX_HEADERS), size, body)
                self._messages.append(message)
                self._bytes += message.weight
            self._come.set()
        return taken

    def note_end(self) -> None:
        """Ends every wait: nothing more will be delivered."""
        self._ended.set()
        self._come.set()

    async def wait(self, seconds: float) -> None:
        """Waits so long, or until the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def next_batch(self) -> list[BusMessage]:
        """Returns the messages of BATCH_DELAY, as many as one batch holds. At the end there may be none."""
        while not self._ended.is_set() and not self._is_due:
            self._come.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._due if self._messages else None):
                    await self._come.wait()
        batch: list[BusMessage] = []
        size = 0
        while self._messages and len(batch) < BATCH and size < BATCH_BYTES:
            batch.append(self._messages.popleft())
            size += batch[-1].weight
        self._bytes -= size
        return batch

    @property
    def _is_due(self) -> bool:
        full = len(self._messages) >= BATCH or self._bytes >= BATCH_BYTES
        return full or bool(self._messages) and self._loop.time() >= self._due
