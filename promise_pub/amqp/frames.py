"""AMQP frames read by the hundred: the most frequent ones never reach aiormq.

aiormq reads a frame in three awaits, decodes it in full, and hands it from task to task: forty microseconds for each
publisher confirm, and three times that for each delivery. Here a *tap* gets the whole frames in the buffer first, in
one plain call. aiormq reads the frames that the tap leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import NamedTuple, TypeVar

T = TypeVar("T")

CHANNEL = 1  # the only one of each connection
CHUNK = 64 * 1024  # bytes read at once; bounds how long a tap holds the event loop

Tap = Callable[[bytearray], int]
"""Takes frames from the beginning of a buffer and returns how many bytes it took; MORE when it takes the next frame,
which is not complete yet."""

MORE = -1

# Bytes before a frame's payload; one byte ends it.
_HEADER = 7
# Bytes up to the end of its class and method.
_METHOD = _HEADER + 4
# Type, channel, size of the payload.
_frame = Struct(">BHI").unpack_from
# Class, method.
_method = Struct(">HH").unpack_from
# Delivery tag, bits.
_confirm = Struct(">QB").unpack_from
# Behind class and weight: size of the body, flags of the properties.
_content = Struct(">4xQH").unpack_from
_BASIC, _ACK, _NACK, _DELIVER, _RETURN = 60, 80, 120, 60, 50
_CONFIRMS = ((_BASIC, _ACK), (_BASIC, _NACK))
_METHOD_FRAME, _BODY_FRAME = 1, 3
_SIZE_OF_CONFIRM = _METHOD + 9 + 1


class TappedReader:
    """The StreamReader that aiormq gets. aiormq reads each frame in three steps; before the first the tap is asked."""

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
        """Lets the tap take frames until the buffer starts with one for aiormq.

        The tap may be set while the next frame is awaited.
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
        """Reads more; False at the end of the stream."""
        chunk = await self._reader.read(CHUNK)
        self._buffer += chunk
        return bool(chunk)

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        return piece


class Confirm(NamedTuple):
    """A basic.ack, or a basic.nack."""

    tag: int
    multiple: bool
    nack: bool = False


def parse_confirms(buffer: bytearray) -> tuple[list[Confirm], int, bool]:
    """Returns the confirms that begin the buffer, their size in bytes or MORE, and whether a return comes next.

    A returned message is confirmed right after its return, so the return must be known before. Nacks are rare, and
    taken all the same: in aiormq's hands the acks behind one would overtake it.
    """
    found: list[Confirm] = []
    at, size = 0, len(buffer)
    while at < size:
        if size - at < _METHOD:
            # Among the frames that are no method only the heartbeat is shorter.
            return found, at or (MORE if buffer[at] == _METHOD_FRAME else 0), False
        kind, number, _ = _frame(buffer, at)
        if kind != _METHOD_FRAME or number != CHANNEL:
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


class DeliveredMessage(NamedTuple):
    """A basic.deliver with its content."""

    tag: int
    message_id: str | None
    redelivered: bool
    body: bytes


class RoutedMessage(NamedTuple):
    """A basic.deliver with all that its content says, undecoded.

    `properties` are the bytes of the content header from its flags on: see `properties.parse_properties`. `size` is that of
    the body, which is None where it was longer than the reader wanted it.
    """

    tag: int
    routing_key: bytes
    properties: bytes
    size: int
    body: bytes | None


_Place = tuple[int, int, int, int, int, int]
"""The places of a whole delivery in the buffer: of its arguments, its content header, its body frames, its end; then the
size of the body and the flags of the properties."""


def parse_deliveries(buffer: bytearray) -> tuple[list[DeliveredMessage], int]:
    """Returns the whole deliveries at the beginning of the buffer, and their size in bytes; MORE when one has begun."""
    return _parse(buffer, _delivered)


def parse_routed(buffer: bytearray, longest: int) -> tuple[list[RoutedMessage], int]:
    """Does the same with all that a content header says, and without bodies longer than `longest`."""
    return _parse(buffer, partial(_routed, longest=longest))


def _parse(buffer: bytearray, read: Callable[[bytearray, _Place], T]) -> tuple[list[T], int]:
    found: list[T] = []
    at, size = 0, len(buffer)
    while at < size:
        if size - at < _METHOD:
            return found, at or (MORE if buffer[at] == _METHOD_FRAME else 0)
        kind, number, length = _frame(buffer, at)
        if kind != _METHOD_FRAME or number != CHANNEL:
            break
        if _method(buffer, at + _HEADER) != (_BASIC, _DELIVER):
            break
        place = _find_delivery(buffer, at + _METHOD, at + _HEADER + length + 1)
        if place is None:
            return found, at or MORE
        found.append(read(buffer, place))
        at = place[3]
    return found, at


def _find_delivery(buffer: bytearray, arguments: int, header: int) -> _Place | None:
    """Returns where a delivery is; None while it is not whole. `header` is the frame after its arguments.

    Nothing is copied before all is there: a long body comes in many pieces.
    """
    content = header + _HEADER
    there = len(buffer)
    if there < content:
        return None
    _, _, length = _frame(buffer, header)
    body = end = content + length + 1
    if there < body:
        return None
    size, flags = _content(buffer, content)
    left = size
    while left > 0:
        if there < end + _HEADER:
            return None
        kind, _, length = _frame(buffer, end)
        if kind != _BODY_FRAME:
            break
        end += _HEADER + length + 1
        left -= length
    return (arguments, content, body, end, size, flags) if there >= end else None


def _body(buffer: bytearray, at: int, end: int, size: int) -> bytes:
    """Returns the body whose frames begin at `at`."""
    if end - at == _HEADER + size + 1:
        return bytes(buffer[at + _HEADER : end - 1])
    pieces = []
    while at < end:
        start = at + _HEADER
        at = start + _frame(buffer, at)[2] + 1
        pieces.append(buffer[start : at - 1])
    return b"".join(pieces)


def _delivered(buffer: bytearray, place: _Place) -> DeliveredMessage:
    at, content, body, end, size, flags = place
    # The consumer tag comes first.
    tag, bits = _confirm(buffer, at + 1 + buffer[at])
    message_id = _message_id(buffer, content + 14, flags) if flags & _MESSAGE_ID else None
    return DeliveredMessage(tag, message_id, bits & 1 == 1, _body(buffer, body, end, size))


def _routed(buffer: bytearray, place: _Place, longest: int) -> RoutedMessage:
    at, content, body, end, size, _ = place
    at += 1 + buffer[at]
    tag, _ = _confirm(buffer, at)
    # Behind the tag and its bits are the exchange and the routing key.
    at += 9
    at += 1 + buffer[at]
    key = bytes(buffer[at + 1 : at + 1 + buffer[at]])
    properties = bytes(buffer[content + 12 : body - 1])
    return RoutedMessage(tag, key, properties, size, _body(buffer, body, end, size) if size <= longest else None)


# The flags of the properties before message_id, and the types: short string, table or byte.
_BEFORE = tuple((1 << bit, kind) for bit, kind in zip(range(15, 7, -1), "sstbbsss", strict=True))
_MESSAGE_ID = 1 << 7


def _message_id(buffer: bytearray, at: int, properties: int) -> str:
    for flag, kind in _BEFORE:
        if properties & flag:
            if kind == "s":
                at += 1 + buffer[at]
            elif kind == "b":
                at += 1
            else:
                at += 4 + int.from_bytes(buffer[at : at + 4], "big")
    return buffer[at + 1 : at + 1 + buffer[at]].decode("utf-8", "replace")
