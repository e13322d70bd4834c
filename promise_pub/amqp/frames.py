"""AMQP frames read by the hundred: what comes most often never reaches aiormq.

aiormq reads a frame in three awaits, decodes it in full, and hands it from task to task: forty microseconds for each
publisher confirm, and three times that for each delivery. Here the whole frames that stand in the buffer go to a *tap*
first, in one plain call. What the tap does not take, aiormq reads as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory

CHUNK = 64 * 1024  # bytes read at once; bounds how long a tap holds the event loop

Tap = Callable[[bytearray], int]
"""Takes frames from the beginning of a buffer and returns how many bytes that were. MORE: it takes the next frame, and
that is not all there yet."""

MORE = -1

_HEADER = 7  # bytes before a frame's payload; one byte ends it
_METHOD = _HEADER + 4  # up to its class and method
_frame = Struct(">BHI").unpack_from  # type, channel, size of the payload
_method = Struct(">HH").unpack_from
_confirm = Struct(">QB").unpack_from  # delivery tag, bits
_content = Struct(">HHQH").unpack_from  # class, weight, size of the body, which properties there are
_BASIC, _ACK, _NACK, _DELIVER, _RETURN = 60, 80, 120, 60, 50
_CONFIRMS = ((_BASIC, _ACK), (_BASIC, _NACK))
_METHOD_FRAME, _BODY_FRAME = 1, 3
_SIZE_OF_CONFIRM = _METHOD + 9 + 1


class TappedReader:
    """What aiormq takes for a StreamReader. It reads a frame in three steps, of which the first starts the frame."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.tap: Tap | None = None
        self._reader = reader
        self._buffer = bytearray()
        self._step = 0

    def at_eof(self) -> bool:
        return not self._buffer and self._reader.at_eof()

    async def read(self, size: int = -1) -> bytes:
        if self._buffer:
            return self._cut(len(self._buffer) if size < 0 else size)
        return await self._reader.read(size)

    async def readexactly(self, size: int) -> bytes:
        if self._step == 0:
            await self._offer()
        self._step = (self._step + 1) % 3
        while len(self._buffer) < size:
            if not await self._fill():
                raise asyncio.IncompleteReadError(bytes(self._buffer), size)
        return self._cut(size)

    async def _offer(self) -> None:
        """Lets the tap take what it wants, until the buffer starts with a frame for aiormq.

        There may be no tap before the frame comes that is waited for here.
        """
        while True:
            taken = MORE
            if self._buffer:
                taken = self.tap(self._buffer) if self.tap else 0
            if taken > 0:
                del self._buffer[:taken]
            elif taken != MORE or not await self._fill():
                return

    async def _fill(self) -> bool:
        """False at the end."""
        chunk = await self._reader.read(CHUNK)
        self._buffer += chunk
        return bool(chunk)

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece


class TappingTransport(TransportFactory):
    """Connects as aiormq does, and puts a TappedReader in between."""

    def __init__(self, *, tls: bool) -> None:
        self._plain: Any = TLSTransportFactory() if tls else TCPTransportFactory()
        self.reader: TappedReader | None = None

    async def create(self, url: Any, **options: Any) -> tuple[Any, asyncio.StreamWriter]:
        reader, writer = await self._plain.create(url, **options)
        self.reader = TappedReader(reader)
        return self.reader, writer


class Confirm(NamedTuple):
    """A basic.ack, or a basic.nack."""

    tag: int
    multiple: bool
    nack: bool = False


def confirms(buffer: bytearray, channel: int) -> tuple[list[Confirm], int, bool]:
    """The confirms at the beginning of the buffer, how many bytes they are or MORE, and whether a return comes next.

    A message that came back is confirmed right after: who takes confirms must know of the return before. Nacks are
    taken as acks are, however few they be: one that went by way of aiormq would be overtaken by the acks behind it.
    """
    found: list[Confirm] = []
    at, size = 0, len(buffer)
    while at < size:
        if size - at < _METHOD:
            # Of frames that are no method only the heartbeat is shorter.
            return found, at or (MORE if buffer[at] == _METHOD_FRAME else 0), False
        kind, number, _ = _frame(buffer, at)
        if kind != _METHOD_FRAME or number != channel:
            break
        called = _method(buffer, at + _HEADER)
        if called == (_BASIC, _RETURN):
            return found, at, True
        if called not in _CONFIRMS:
            break
        if size - at < _SIZE_OF_CONFIRM:
            return found, at or MORE, False
        tag, bits = _confirm(buffer, at + _METHOD)
        found.append(Confirm(tag, bool(bits & 1), called[1] == _NACK))
        at += _SIZE_OF_CONFIRM
    return found, at, False


class Delivery(NamedTuple):
    """A basic.deliver with its content."""

    tag: int
    message_id: str | None
    redelivered: bool
    body: bytes


def deliveries(buffer: bytearray, channel: int) -> tuple[list[Delivery], int]:
    """The whole deliveries at the beginning of the buffer, and how many bytes they are; MORE when one has begun."""
    found: list[Delivery] = []
    at, size = 0, len(buffer)
    while at < size:
        if size - at < _METHOD:
            return found, at or (MORE if buffer[at] == _METHOD_FRAME else 0)
        kind, number, length = _frame(buffer, at)
        if kind != _METHOD_FRAME or number != channel:
            break
        if _method(buffer, at + _HEADER) != (_BASIC, _DELIVER):
            break
        read = _delivery(buffer, at + _METHOD, at + _HEADER + length + 1)
        if read is None:
            return found, at or MORE
        found.append(read[0])
        at = read[1]
    return found, at


def _delivery(buffer: bytearray, at: int, header: int) -> tuple[Delivery, int] | None:
    """One delivery, and where the next frame starts. `at`: its arguments; `header`: the frame after them."""
    content = header + _HEADER
    if len(buffer) < content:
        return None
    body = content + _frame(buffer, header)[2] + 1
    if len(buffer) < body:
        return None
    at += 1 + buffer[at]  # the consumer's tag
    tag, bits = _confirm(buffer, at)
    _, _, left, properties = _content(buffer, content)
    pieces = []
    while left > 0:
        if len(buffer) < body + _HEADER:
            return None
        kind, _, length = _frame(buffer, body)
        end = body + _HEADER + length
        if len(buffer) <= end:
            return None
        if kind != _BODY_FRAME:
            break
        pieces.append(buffer[body + _HEADER : end])
        left -= length
        body = end + 1
    message_id = _message_id(buffer, content + 14, properties)
    return Delivery(tag, message_id, bool(bits & 1), b"".join(pieces)), body


# The properties before message_id, and whether each is a short string, a table or one byte.
_BEFORE = ((15, "s"), (14, "s"), (13, "t"), (12, "b"), (11, "b"), (10, "s"), (9, "s"), (8, "s"))
_MESSAGE_ID = 1 << 7


def _message_id(buffer: bytearray, at: int, properties: int) -> str | None:
    if not properties & _MESSAGE_ID:
        return None
    for bit, kind in _BEFORE:
        if properties & (1 << bit):
            if kind == "s":
                at += 1 + buffer[at]
            elif kind == "b":
                at += 1
            else:
                at += 4 + int.from_bytes(buffer[at : at + 4], "big")
    return buffer[at + 1 : at + 1 + buffer[at]].decode("utf-8", "replace")
