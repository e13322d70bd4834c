"""The links between the processes: TCP lines that a test cuts, delays, and lets swallow what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Line:
    """A proxy whose port stays, wherever what is behind it has gone.

    `delay` seconds for each piece that comes through; while `stalled`, nothing does, and nothing ends; while `down`,
    nobody gets a connection. `cut_after` so many more bytes every connection is reset, wherever that is in a frame.
    A piece with the bytes of `stall_at` stalls the line before it comes through.
    A connection that was `lose`d never tells or takes anything again, and does not end before the line is healed; new
    ones flow.
    """

    def __init__(self, target: Open) -> None:
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.down = False
        self.cut_after: int | None = None
        self.stall_at: bytes | None = None
        self.cuts = 0
        self._cut_next = False
        self._room: int | None = None  # bytes to the target that come through yet
        self.pieces = 0  # that came, let through or not
        self.asked = 0  # connections that were asked for, whatever came of them
        self.held = 0  # pieces and connections that wait for the line to flow
        self._healed = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._going_on = asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways: set[asyncio.Future[None]] = set()

    @property
    def connections(self) -> int:
        return len(self._ends) // 2

    def cut(self) -> None:
        """Resets every connection."""
        self.cuts += 1
        for writer in [*self._ends]:
            writer.transport.abort()

    def cut_in_use(self) -> None:
        """Resets every connection; where there is none, the next one as soon as it is there.

        A call that takes some milliseconds is not there for long enough to be waited for.
        """
        if self._ends:
            self.cut()
        else:
            self._cut_next = True

    def stall(self) -> None:
        self._flowing.clear()

    def hold_after(self, count: int) -> None:
        """When so many more bytes have gone to the target, no more do until the line `flow`s. Answers come through."""
        self._room = count
        self._going_on.clear()

    def lose(self) -> int:
        """The connections there are go deaf and dumb for good; how many they were."""
        ways, self._ways = self._ways, set()
        for way in ways:
            way.cancel()
        return len(ways) // 2

    def flow(self) -> None:
        """What was swallowed comes through now."""
        self._room = None
        self._going_on.set()
        self._flowing.set()

    def heal(self) -> None:
        """As if nothing had been. What was lost ends."""
        self.delay, self.down, self.cut_after, self.stall_at = 0.0, False, None, None
        self._cut_next = False
        self.flow()
        self._healed.set()
        self._healed = asyncio.Event()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for what this side sees of the line."""
        async with asyncio.timeout(60):
            while not true():  # noqa: ASYNC110  many things make it so
                await asyncio.sleep(0.02)

    async def _open_for(self, going: int = 0) -> None:
        """`going`: bytes to the target."""
        self.held += 1
        try:
            if going and self._room is not None:
                await self._make_room(going)
            await self._flowing.wait()
        finally:
            self.held -= 1

    async def _make_room(self, size: int) -> None:
        assert self._room is not None
        if self._room <= 0:
            await self._going_on.wait()
        else:
            self._room -= size

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            with suppress(OSError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if self.down:
            return
        await self._open_for()
        there, back = await self.target()
        ends = {writer, back}
        self._ends |= ends
        ways = [
            asyncio.ensure_future(self._forward(reader, back, there=True)),
            asyncio.ensure_future(self._forward(there, writer)),
        ]
        self._ways |= {*ways}
        if self._cut_next:
            self._cut_next = False
            self.cut()
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if any(way.cancelled() for way in ways):
                await self._healed.wait()  # lost
        finally:
            self._ways -= {*ways}
            self._ends -= ends
            back.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, there: bool = False
    ) -> None:
        while chunk := await reader.read(CHUNK):
            self.pieces += 1
            if self.stall_at and self.stall_at in chunk:
                self.stall_at = None
                self.stall()
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open_for(len(chunk) if there else 0)
            if self.cut_after is not None:
                piece = chunk[: self.cut_after]
                self.cut_after -= len(piece)
                if self.cut_after <= 0:
                    self.cut_after = None
                    writer.write(piece)
                    await writer.drain()
                    self.cut()
                    return
            writer.write(chunk)
            await writer.drain()

    async def close(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def line_to(target: Open) -> AsyncIterator[Line]:
    line = Line(target)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        await line.close()
