"""A TCP proxy in front of a service, which cuts its connections or stalls them as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class Proxy:
    """Forwards both ways. `cut_after` bytes from the clients, every connection is reset."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._going = asyncio.Event()
        self._going.set()
        self._forwarded = 0
        self.cut_after: int | None = None
        self.port = 0

    def cut(self) -> None:
        """Resets every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def stall(self) -> None:
        """Nothing comes through any more, and nothing ends."""
        self._going.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                self._forward(reader, back, counted=True), self._forward(there, writer)
            )
        finally:
            for end in (writer, back):
                self._writers.discard(end)
                end.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool = False
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                await self._going.wait()
                if counted and self.cut_after is not None:
                    self._forwarded += len(chunk)
                    if self._forwarded > self.cut_after:
                        self.cut()
                        return
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await proxy.serve(reader, writer)
        serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in [*serving]:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
