"""Every private name of aiormq that is used does what it is used for, in the versions that are pinned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic, Connection
from pamqp.header import ContentHeader

from promise_pub.amqp.aiormq_internals import FrameChannel, TappedConnection
from promise_pub.amqp.connection import connect, open_channel, url_of
from promise_pub.amqp.frames import CHANNEL, Confirm, parse_confirms
from promise_pub.errors import BrokerRefused, BrokerUnreachable
from promise_pub.settings.model import RabbitSettings
from tests.amqp_peer import Peer, marshalled, running_peer
from tests.fakes import until


class Noting(FrameChannel):
    """Notes what it gets, by the tap where there is to be one."""

    def __init__(self, connection: TappedConnection, *, taps: bool = False) -> None:
        super().__init__(connection, publisher_confirms=True)
        self.settled: list[Confirm] = []
        self.returned: list[str] = []
        self._taps = taps

    def take_frames(self, buffer: bytearray) -> int:
        if not self._taps:
            return 0
        found, taken, _ = parse_confirms(buffer)
        self.settled += found
        return taken

    def settle(self, confirms: Sequence[Confirm]) -> None:
        self.settled += confirms

    def note_return(self, message_id: str) -> None:
        self.returned.append(message_id)


class Tapping(Noting):
    def __init__(self, connection: TappedConnection) -> None:
        super().__init__(connection, taps=True)


def reaching(peer: Peer) -> RabbitSettings:
    return RabbitSettings(host="127.0.0.1", port=peer.port, heartbeat=0)


@asynccontextmanager
async def opened(kind: type[Noting]) -> AsyncIterator[tuple[Peer, Noting]]:
    async with running_peer() as peer, open_channel(reaching(peer), kind) as channel:
        yield peer, channel


@pytest.mark.parametrize("kind", [Noting, Tapping])
async def test_confirms_that_the_tap_leaves_come_as_those_that_it_takes(kind: type[Noting]) -> None:
    """`_on_confirm_frame`."""
    async with opened(kind) as (peer, channel):
        await peer.say([Basic.Ack(7, True), Basic.Nack(8, False), Basic.Ack(9, False)])
        await until(lambda: len(channel.settled) == 3)
        assert channel.settled == [Confirm(7, True), Confirm(8, False, nack=True), Confirm(9, False)]


@pytest.mark.parametrize("body", [b"", b"whole", b"x" * 300_000], ids=len)
async def test_a_returned_message_is_read_whole_and_named(body: bytes) -> None:
    """`_on_return_frame`, `_get_frame`, `_read_content`: what follows is a frame again."""
    async with opened(Noting) as (peer, channel):
        header = ContentHeader(body_size=len(body), properties=Basic.Properties(message_id="run:7"))
        pieces = [ContentBody(body[start : start + 100_000]) for start in range(0, len(body), 100_000)]
        returned = Basic.Return(reply_code=312, reply_text="NO_ROUTE", exchange="", routing_key="q")
        await peer.say([returned, header, *pieces, Basic.Ack(1, False)])
        await until(lambda: channel.settled)
        assert (channel.returned, channel.settled) == (["run:7"], [Confirm(1, False)])


async def test_frames_are_written_as_they_are_and_waited_for() -> None:
    """`write_queue` and `ChannelFrame`."""
    async with opened(Noting) as (peer, channel):
        header = ContentHeader(body_size=3, properties=Basic.Properties(message_id="1"))
        await asyncio.wait_for(
            channel.write(marshalled([Basic.Publish(routing_key="q"), header, ContentBody(b"one")])), 20
        )
        await peer.until(1)
        assert peer.published[0][1] == b"one"


async def test_a_broker_that_blocks_the_connection_is_known_to() -> None:
    """`_Connection__connection_unblocked`."""
    async with opened(Noting) as (peer, channel):
        assert not channel.blocked
        await peer.say([Connection.Blocked("low on memory")], channel=0)
        await until(lambda: channel.blocked)
        await peer.say([Connection.Unblocked()], channel=0)
        await until(lambda: not channel.blocked)


async def test_a_connection_is_not_blocked_before_it_is_there() -> None:
    connection = TappedConnection(url_of(RabbitSettings(host="localhost")), tls=False, context=None)
    assert not connection.blocked


async def test_frames_that_the_tap_takes_are_signs_of_life() -> None:
    """`_Connection__last_frame_time`."""
    async with opened(Tapping) as (peer, channel):
        connection = channel.connection
        connection._Connection__last_frame_time = 0.0  # type: ignore[attr-defined]
        await peer.say([Basic.Ack(1, False)])
        await until(lambda: channel.settled)
        assert connection._Connection__last_frame_time > 0.0  # type: ignore[attr-defined]


async def test_the_channel_is_known_to_its_connection_by_its_number() -> None:
    async with opened(Noting) as (_, channel):
        assert channel.connection.channels == {CHANNEL: channel}
        assert isinstance(channel, FrameChannel)


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [(530, "NOT_ALLOWED - vhost nope not found", BrokerRefused), (541, "INTERNAL_ERROR", BrokerUnreachable)],
)
async def test_a_broker_that_refuses_the_vhost_is_quoted(code: int, words: str, kind: type[Exception]) -> None:
    """`_rpc`: aiormq alone says that a frame came out of order."""
    async with running_peer() as peer:
        peer.answers[Connection.Open] = lambda _: Connection.Close(code, words, 0, 0)
        with pytest.raises(kind, match=words):
            async with connect(reaching(peer)):
                raise AssertionError("it was let in")
