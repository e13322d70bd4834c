"""A TCP proxy in front of a service, which cuts its connections or stalls them as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

CHUNK = 65_536


class Proxy:
    """Forwards both ways. `cut_after` bytes from the clients, counted from the first, every connection is reset.

    What comes up to that byte gets through, wherever in a frame it ends; after it nothing does, on new connections
    neither, until `cut_after` is None again.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._going = asyncio.Event()
        self._going.set()
        self.forwarded = 0  # bytes from the clients, those that were cut off too
        self.cut_after: int | None = None
        self.passed = bytearray()  # what got through since `cut_in`
        self.port = 0

    def cut(self) -> None:
        """Resets every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_in(self, count: int) -> None:
        """Cuts after so many more bytes."""
        self.passed.clear()
        self.cut_after = self.forwarded + count

    def stall(self) -> None:
        """Nothing comes through any more, and nothing ends."""
        self._going.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._connect()
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._forward(reader, back, counted=True), self._forward(there, writer))
        finally:
            for end in (writer, back):
                self._writers.discard(end)
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._target
        if host.startswith("/"):
            # The folder of PostgreSQL's socket.
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool = False) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                await self._going.wait()
                if counted and await self._cut_off(chunk, writer):
                    return
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def _cut_off(self, chunk: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the cut falls into this piece. The broker gets what is before it, and then the end."""
        before, self.forwarded = self.forwarded, self.forwarded + len(chunk)
        if self.cut_after is None or self.forwarded < self.cut_after:
            self.passed += chunk
            return False
        piece = chunk[: max(0, self.cut_after - before)]
        self.passed += piece
        writer.write(piece)
        writer.close()
        await writer.wait_closed()
        self.cut()
        return True


P = TypeVar("P", bound=Proxy)


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    async with serving(Proxy(host, port)) as proxy:
        yield proxy


@asynccontextmanager
async def serving(proxy: P) -> AsyncIterator[P]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await proxy.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
