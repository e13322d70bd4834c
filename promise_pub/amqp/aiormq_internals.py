"""Every private name of aiormq that is used: parts that its next version may change without notice.

requirements.txt pins the versions that this was tested with; tests/unit/amqp/test_aiormq_internals.py has a test for
each.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import aiormq
import aiormq.exceptions
from aiormq.abc import ChannelFrame, ConfirmationFrameType
from aiormq.channel import Channel
from aiormq.connection import (
    FrameReceiver,
    TCPTransportFactory,
    TLSTransportFactory,
    TransportFactory,
    exception_by_code,
)
from pamqp import commands
from pamqp.header import ContentHeader
from yarl import URL

from promise_pub.amqp.frames import CHANNEL, Confirm, Tap, TappedReader


class TappingTransport(TransportFactory):
    """aiormq's transport with a TappedReader in between."""

    def __init__(self, *, tls: bool) -> None:
        self._plain: Any = TLSTransportFactory() if tls else TCPTransportFactory()
        self.reader: TappedReader | None = None

    async def create(self, url: Any, **options: Any) -> tuple[Any, asyncio.StreamWriter]:
        reader, writer = await self._plain.create(url, **options)
        self.reader = TappedReader(reader)
        return self.reader, writer


class TappedConnection(aiormq.Connection):
    """aiormq's connection, whose frames a tap may take first.

    It also tells why a broker refuses a vhost, which aiormq takes for an answer out of order.
    """

    def __init__(self, url: URL, *, tls: bool, context: ssl.SSLContext | None) -> None:
        self._transport = TappingTransport(tls=tls)
        super().__init__(url, context=context, transport_factory=self._transport)

    def tap(self, tap: Tap) -> None:
        """Gives the frames to `tap` first, from now on. What it takes counts as a sign of life."""

        def take(buffer: bytearray) -> int:
            taken = tap(buffer)
            if taken > 0:
                # A busy broker sends no heartbeats, and aiormq would take it for dead.
                setattr(self, "_Connection__last_frame_time", self.loop.time())  # noqa: B010
            return taken

        assert self._transport.reader
        self._transport.reader.tap = take

    @property
    def blocked(self) -> bool:
        """True while the broker does not read, because its memory or disk runs short."""
        unblocked: asyncio.Event = getattr(self, "_Connection__connection_unblocked")  # noqa: B009
        return self.connected.is_set() and not unblocked.is_set()

    @staticmethod
    async def _rpc(request: Any, writer: Any, frame_receiver: FrameReceiver, wait_response: bool = True) -> Any:
        remembering = _RememberingReceiver(frame_receiver)
        try:
            return await aiormq.Connection._rpc(request, writer, remembering, wait_response)
        except aiormq.exceptions.InvalidFrameError:
            if isinstance(remembering.last, commands.Connection.Close):
                raise exception_by_code(remembering.last) from None
            raise


class _RememberingReceiver(FrameReceiver):
    """A receiver that keeps the last frame."""

    def __init__(self, receiver: FrameReceiver) -> None:
        super().__init__(receiver.reader)
        self.last: Any = None

    async def get_frame(self) -> Any:
        received = await super().get_frame()
        _, _, self.last = received
        return received


class FrameChannel(Channel):
    """The one channel of a connection, which reads and writes frames by the hundred beside aiormq.

    Confirms and returns that the tap has left to aiormq come to `settle` and `note_return`.
    """

    def __init__(self, connection: TappedConnection, *, publisher_confirms: bool) -> None:
        super().__init__(connection, CHANNEL, publisher_confirms=publisher_confirms)
        self._tapped = connection
        connection.channels[CHANNEL] = self

    @property
    def blocked(self) -> bool:
        return self._tapped.blocked

    @abstractmethod
    def take_frames(self, buffer: bytearray) -> int:
        """Takes frames before aiormq reads them: the connection's tap."""

    async def write(self, frames: bytes) -> None:
        """Returns once the frames are handed to the operating system."""
        drained = self.create_future()
        await self.write_queue.put(ChannelFrame(payload=frames, should_close=False, drain_future=drained))
        await drained

    def settle(self, confirms: Sequence[Confirm]) -> None:
        """The broker has confirmed messages, or refused them."""

    def note_return(self, message_id: str) -> None:
        """A message could not be routed; its confirm follows. "" stands for one without an id."""

    async def _on_confirm_frame(self, frame: ConfirmationFrameType) -> None:
        nack = isinstance(frame, commands.Basic.Nack)
        self.settle([Confirm(frame.delivery_tag or 0, bool(getattr(frame, "multiple", False)), nack)])

    async def _on_return_frame(self, frame: commands.Basic.Return) -> None:
        header = await self._get_frame()
        assert isinstance(header, ContentHeader)
        await self._read_content(frame, header)
        self.note_return(header.properties.message_id or "")
