"""A broker's end of one connection, as far as publishers see it: it takes what comes, and says what a test tells it to.

It greets as RabbitMQ does, answers what is asked, and keeps every message. Confirms, returns and all else that a broker
says unasked it says only when told, in the order told, whole or in pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pamqp import frame as amqp
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Confirm, Connection, Queue
from pamqp.header import ContentHeader, ProtocolHeader

CHANNEL = 1
_HEAD, _END = 7, 1  # bytes of a frame around its payload
_ABILITIES = {"publisher_confirms": True, "basic.nack": True, "connection.blocked": True}
_GREETING = Connection.Start(server_properties={"capabilities": _ABILITIES})
_ANSWERS: dict[type, Callable[[Any], Any]] = {
    Connection.StartOk: lambda _: Connection.Tune(channel_max=16, frame_max=131_072, heartbeat=0),
    Connection.Open: lambda _: Connection.OpenOk(),
    Connection.Close: lambda _: Connection.CloseOk(),
    Channel.Open: lambda _: Channel.OpenOk(),
    Channel.Close: lambda _: Channel.CloseOk(),
    Confirm.Select: lambda _: Confirm.SelectOk(),
    Queue.Declare: lambda asked: Queue.DeclareOk(asked.queue, 0, 0),
}


class Peer:
    """Serves one connection after the other; `published` is of the last."""

    def __init__(self) -> None:
        self.port = 0
        self.answers = dict(_ANSWERS)
        """Answers to each request; a test may change them before it connects."""
        self.published: list[tuple[ContentHeader, bytes]] = []
        self._writer: asyncio.StreamWriter
        self._come = asyncio.Event()

    async def until(self, count: int) -> None:
        """So many messages have come."""
        async with asyncio.timeout(20):
            while len(self.published) < count:
                self._come.clear()
                await self._come.wait()

    async def say(self, frames: Sequence[Any], piece: int = 0, channel: int = CHANNEL) -> None:
        """All at once, or so many bytes at a time."""
        data = marshalled(frames, channel)
        for start in range(0, len(data), piece or len(data)):
            self._writer.write(data[start : start + (piece or len(data))])
            await self._writer.drain()
            await asyncio.sleep(0)

    async def hang_up_after(self, frames: Sequence[Any], count: int) -> None:
        """Says the first `count` bytes of that, and no more ever."""
        self._writer.write(marshalled(frames)[:count])
        self._writer.close()
        await self._writer.wait_closed()

    def back(self, tag: int) -> list[Any]:
        """The message returned: no queue took it."""
        header, body = self.published[tag - 1]
        told = Basic.Return(reply_code=312, reply_text="NO_ROUTE", exchange="", routing_key="q")
        return [told, header, ContentBody(body)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.published = []
        try:
            while True:
                await self._take(*await _read(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it went
        finally:
            writer.close()

    async def _take(self, channel: int, frame: Any) -> None:
        if isinstance(frame, ProtocolHeader):
            await self.say([_GREETING], channel=0)
        elif isinstance(frame, ContentHeader):
            self._message = frame, b""
        elif isinstance(frame, ContentBody):
            header, body = self._message
            self._message = header, body + frame.value
            if len(self._message[1]) == header.body_size:
                self.published.append(self._message)
                self._come.set()
        elif answer := self.answers.get(type(frame)):
            await self.say([answer(frame)], channel=channel)


def marshalled(frames: Sequence[Any], channel: int = CHANNEL) -> bytes:
    return b"".join(amqp.marshal(frame, channel) for frame in frames)


async def _read(reader: asyncio.StreamReader) -> tuple[int, Any]:
    data = await reader.readexactly(_HEAD)
    rest = 1 if data.startswith(b"AMQP") else int.from_bytes(data[3:7], "big") + _END
    _, channel, frame = amqp.unmarshal(data + await reader.readexactly(rest))
    return channel, frame


@asynccontextmanager
async def running_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
