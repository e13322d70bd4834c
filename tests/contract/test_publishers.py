"""The contract that every publisher meets: ours, a plain one on aio-pika to compare with, and the fake of the tests.

What was published is read by aio-pika: the queue's reader knows nothing of how the frames were made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import aio_pika
import aiormq
import pytest
from aio_pika.connection import make_url
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import frame as pamqp_frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from promise_pub.amqp import connection as connecting
from promise_pub.amqp.connection import probe, url_of
from promise_pub.delivery.broker import messages as messages
from promise_pub.delivery.broker import rabbit as module
from promise_pub.delivery.broker.messages import MessageEncoder
from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.ports import Publisher, Shipment
from promise_pub.errors import BrokerLost, BrokerRefused, BrokerUnreachable
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings
from tests.described_messages import Inspector, properties_of
from tests.fakes import FakeBroker, Message, until
from tests.tcp_proxy import Proxy, proxy_to

RUN = UUID("5d1b2a9e-0000-4000-8000-00000000000a")
STARTED = datetime(2026, 11, 22, 10, 0, 0, 987_654, tzinfo=UTC)
AGAIN = {"x-expires": 60_000}  # a queue that a failed test leaves goes by itself

ODD_TEXT = [
    ("O'Brien", "o'brien@x"),
    ('say "hi"', "back\\slash@x"),
    ("<script>alert(1)</script>", "&amp;@x"),
    ("\N{CRAB} 日本 \u202eRTL\u202c é e\u0301", "ü@exämple.com"),
    ("line\nbreak\r\n\ttab", "\x01\x1f\x7f\x80"),
    ("", ""),
    (" ", "\u2028\u2029\ufeff\ufffd\uffff\U0010ffff"),
    ("{'name': 1}", "%s {} \\u0041"),
]


def people(count: int, first: int = 1) -> list[Row]:
    return [Row(n, f"Name {n}", f"{n}@example.com") for n in range(first, first + count)]


def _body(row: Row, columns: Sequence[str] = NAME_AND_MAIL) -> dict[str, str]:
    return dict(zip(columns, row.fields, strict=True))


def shipment(columns: Sequence[str] = NAME_AND_MAIL) -> Shipment:
    return Shipment(RUN, STARTED, ConfirmTracker(), RowDigest(), columns=columns)


class Broker(Protocol):
    """What the tests do to a broker, whichever it is."""

    def publisher(
        self, window: int = 2048, columns: Sequence[str] = NAME_AND_MAIL
    ) -> AbstractAsyncContextManager[Publisher]: ...

    async def declare(self, queue: str, most: int | None = None) -> None: ...

    async def delete(self, queue: str) -> None: ...

    async def read(self, queue: str) -> list[Message]:
        """Everything in the queue, in order."""

    def lose_after(self, rows: int) -> None:
        """The connection is lost while about so many rows are on their way."""


class Fake:
    def __init__(self) -> None:
        self.broker = FakeBroker()

    def publisher(
        self, window: int = 2048, columns: Sequence[str] = NAME_AND_MAIL
    ) -> AbstractAsyncContextManager[Publisher]:
        self.broker.window = window
        return self.broker.open_publisher(shipment(columns))

    async def declare(self, queue: str, most: int | None = None) -> None:
        self.broker.queues[queue] = []
        if most is not None:
            self.broker.most[queue] = most

    async def delete(self, queue: str) -> None:
        del self.broker.queues[queue]

    async def read(self, queue: str) -> list[Message]:
        return self.broker.queues[queue]

    def lose_after(self, rows: int) -> None:
        self.broker.lose_after = rows


class Real:
    """The tests' RabbitMQ, behind a proxy for the publisher; the reader goes to it directly."""

    def __init__(self, settings: RabbitSettings, proxy: Proxy, channel: Any) -> None:
        self.settings = replace(settings, host="127.0.0.1", port=proxy.port)
        self.proxy = proxy
        self.channel = channel

    def publisher(
        self, window: int = 2048, columns: Sequence[str] = NAME_AND_MAIL
    ) -> AbstractAsyncContextManager[Publisher]:
        return open_publisher(replace(self.settings, window=window), shipment(columns))

    async def declare(self, queue: str, most: int | None = None) -> None:
        limits = {"x-max-length": most, "x-overflow": "reject-publish"} if most is not None else {}
        await self.channel.declare_queue(queue, arguments={**AGAIN, **limits})

    async def delete(self, queue: str) -> None:
        await self.channel.queue_delete(queue)

    async def read(self, queue: str) -> list[Message]:
        """Everything the broker has by now: what was confirmed is there at once."""
        messages: list[Message] = []
        inspector = Inspector()

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            properties = properties_of(message.properties)
            assert properties.pop("priority") == 0, "aio-pika makes it of none"
            inspector.look(properties, message.body)
            messages.append(
                Message(
                    body=message.body,
                    content_type=message.content_type or "",
                    delivery_mode=message.delivery_mode or 0,
                    message_id=message.message_id or "",
                    app_id=message.app_id or "",
                    timestamp=message.timestamp or STARTED,
                )
            )

        there = await self.count(queue)
        declared = await self.channel.get_queue(queue)
        tag = await declared.consume(take, no_ack=True)
        async with asyncio.timeout(30):
            while len(messages) < there:  # noqa: ASYNC110  aio-pika calls back
                await asyncio.sleep(0.01)
        await declared.cancel(tag)
        assert inspector.seen == len(messages)
        inspector.approve()
        return messages

    async def count(self, queue: str) -> int:
        """Messages that wait in it."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return int(declared.declaration_result.message_count or 0)

    def lose_after(self, rows: int) -> None:
        self.proxy.cut_after = rows * 250  # bytes: about what a row's frames take


class Plain(Real):
    """The same broker, published to as aio-pika's documentation does, a window of messages at a time."""

    @asynccontextmanager
    async def publisher(self, window: int = 2048, columns: Sequence[str] = NAME_AND_MAIL) -> AsyncIterator[Publisher]:
        async with await aio_pika.connect(_url(self.settings)) as connection:
            yield PlainPublisher(await connection.channel(on_return_raises=True), window, columns)


class PlainPublisher:
    def __init__(self, channel: aio_pika.abc.AbstractChannel, window: int, columns: Sequence[str]) -> None:
        self.tracker = ConfirmTracker()
        self._channel: Any = channel
        self._window = window
        self._columns = columns
        self._queue = ""

    @property
    def blocked(self) -> bool:
        connection = self._channel._connection.transport.connection
        return not connection._Connection__connection_unblocked.is_set()

    async def check_queue(self) -> None:
        await self._channel.declare_queue(self._queue, passive=True)

    def route_to(self, queue: str) -> None:
        self._queue = queue

    async def publish(self, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), self._window):
            together = map(self._publish, rows[start : start + self._window])
            ends = await asyncio.gather(*together, return_exceptions=True)
            for error in filter(None, ends):
                raise BrokerLost from error

    async def settle(self) -> None:
        """Every row was settled when publish returned."""

    async def _publish(self, row: Row) -> None:
        message = aio_pika.Message(
            json.dumps(_body(row, self._columns), ensure_ascii=False).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=f"{RUN}:{row.number}",
            app_id="promise-pub",
            timestamp=STARTED,
        )
        self.tracker.sent(row.number, 1, 0.0)
        tag, settle = self.tracker.last_tag, self.tracker.ack
        try:
            await self._channel.default_exchange.publish(message, self._queue, mandatory=True)
        except aiormq.exceptions.PublishError:
            self.tracker.came_back(row.number)
        except aiormq.exceptions.DeliveryError:
            settle = self.tracker.nack
        settle(tag, multiple=False, at=0.0)


def _url(settings: RabbitSettings) -> Any:
    return make_url(
        host=settings.host,
        port=settings.port,
        login=settings.user,
        password=settings.password,
        virtualhost=settings.vhost,
    )


@asynccontextmanager
async def real_broker(kind: type[Real], settings: RabbitSettings) -> AsyncIterator[Real]:
    async with (
        proxy_to(settings.host, settings.port) as proxy,
        await aio_pika.connect(_url(settings)) as connection,
    ):
        yield kind(settings, proxy, await connection.channel())


KINDS: dict[str, type[Real] | None] = {"ours": Real, "plain": Plain, "fake": None}


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest) -> RabbitSettings | None:
    """The real broker's, for those that talk to it; it is started outside of the event loop."""
    return request.getfixturevalue("rabbit") if KINDS[request.param] else None


@pytest.fixture
async def broker(request: pytest.FixtureRequest, target: RabbitSettings | None) -> AsyncIterator[Broker]:
    if target is None:
        yield Fake()
        return
    kind = KINDS[request.node.callspec.params["target"]]
    assert kind
    async with real_broker(kind, target) as made:
        yield made


@pytest.fixture
async def ours(rabbit: RabbitSettings) -> AsyncIterator[Real]:
    async with real_broker(Real, rabbit) as made:
        yield made


@pytest.fixture
async def queue(broker: Broker) -> str:
    name = f"test-{uuid4()}"
    await broker.declare(name)
    return name


def numbers(messages: list[Message]) -> list[int]:
    return [int(message.message_id.rpartition(":")[2]) for message in messages]


def watch_window(publisher: Publisher) -> list[int]:
    """How many rows were unsettled just after each write."""
    unsettled: list[int] = []
    tracker = publisher.tracker
    plain = tracker.sent

    def sent(first_number: int, count: int, at: float) -> None:
        plain(first_number, count, at)
        unsettled.append(tracker.unsettled)

    tracker.sent = sent  # type: ignore[method-assign]
    return unsettled


async def test_a_reader_sees_the_message_that_the_contract_describes(broker: Broker, queue: str) -> None:
    async with broker.publisher() as publisher:
        publisher.route_to(queue)
        await publisher.publish([Row(42, "Grace \N{CRAB}", "grace@example.com")])
        await publisher.settle()
    assert await broker.read(queue) == [
        Message(
            body='{"name": "Grace \N{CRAB}", "mail": "grace@example.com"}'.encode(),
            content_type="application/json",
            delivery_mode=2,
            message_id=f"{RUN}:42",
            app_id="promise-pub",
            timestamp=STARTED.replace(microsecond=0),
        )
    ]


@pytest.mark.parametrize("columns", [("id",), ("mail", "{}%s", '"', "Größe"), tuple(f"c{n}" for n in range(100))])
async def test_the_keys_are_the_columns_in_their_order(broker: Broker, queue: str, columns: tuple[str, ...]) -> None:
    rows = [Row(n, *(f"{n} {place}" for place in range(len(columns)))) for n in range(1, 301)]
    async with broker.publisher(columns=columns) as publisher:
        publisher.route_to(queue)
        await publisher.publish(rows)
        await publisher.settle()
    assert [json.loads(message.body.decode()) for message in await broker.read(queue)] == [
        _body(row, columns) for row in rows
    ]


async def test_any_text_comes_through_as_it_was(broker: Broker, queue: str) -> None:
    rows = [Row(number, *texts) for number, texts in enumerate(ODD_TEXT, 1)]
    async with broker.publisher() as publisher:
        publisher.route_to(queue)
        await publisher.publish(rows)
        await publisher.settle()
    messages = await broker.read(queue)
    wanted = [{"name": name, "mail": mail} for name, mail in ODD_TEXT]
    assert [json.loads(message.body) for message in messages] == wanted
    assert [m.body.decode() for m in messages] == [json.dumps(w, ensure_ascii=False) for w in wanted]


async def test_all_rows_arrive_in_order(broker: Broker, queue: str) -> None:
    async with broker.publisher() as publisher:
        publisher.route_to(queue)
        await publisher.publish([])
        await publisher.publish(people(1))
        await publisher.publish(people(1_200, first=2))
        await publisher.publish(people(1, first=1_500))  # the rows between them were rejected
        await publisher.settle()
        tracker = publisher.tracker
        assert (tracker.published, tracker.confirmed, tracker.unsettled) == (1_202, 1_202, 0)
        assert tracker.latency.summary()
    assert numbers(await broker.read(queue)) == [*range(1, 1_202), 1_500]


@pytest.mark.parametrize("window", [1, 2, 7, 255, 256, 257, 1_000])
async def test_the_window_is_never_exceeded(broker: Broker, queue: str, window: int) -> None:
    rows = people(60 if window < 10 else 1_300)
    async with broker.publisher(window) as publisher:
        unsettled = watch_window(publisher)
        publisher.route_to(queue)
        await publisher.publish(rows)
        await publisher.settle()
        assert 0 < max(unsettled) <= window
        assert publisher.tracker.confirmed == len(rows)
    assert len(await broker.read(queue)) == len(rows)


async def test_rows_for_a_queue_that_is_not_there_come_back_with_their_numbers(
    broker: Broker,
) -> None:
    async with broker.publisher() as publisher:
        publisher.route_to(f"nobody-{uuid4()}")
        await publisher.publish(people(300, first=11))
        await publisher.settle()
        tracker = publisher.tracker
        assert (tracker.confirmed, len(tracker.returned)) == (0, 300)
        assert str(tracker.returned) == "11-310"


async def test_when_the_queue_is_deleted_what_follows_comes_back(broker: Broker, queue: str) -> None:
    async with broker.publisher() as publisher:
        publisher.route_to(queue)
        await publisher.publish(people(200))
        await publisher.settle()
        await broker.delete(queue)
        await publisher.publish(people(300, first=201))
        await publisher.settle()
        assert publisher.tracker.confirmed == 200
        assert str(publisher.tracker.returned) == "201-500"


async def test_rows_that_the_broker_refuses_are_told_by_number(broker: Broker) -> None:
    queue = f"test-{uuid4()}"
    await broker.declare(queue, most=10)
    async with broker.publisher() as publisher:
        publisher.route_to(queue)
        await publisher.publish(people(60))
        await publisher.settle()
        tracker = publisher.tracker
        assert tracker.confirmed + len(tracker.nacked) == 60
        assert len(tracker.nacked) > 0 and len(tracker.returned) == 0
    arrived = numbers(await broker.read(queue))
    assert len(arrived) == tracker.confirmed
    assert {n for n in range(1, 61) if n not in tracker.nacked} == {*arrived}


async def test_a_connection_that_ends_is_told_with_what_was_confirmed(broker: Broker, queue: str) -> None:
    broker.lose_after(600)
    with pytest.raises(BrokerLost):
        async with asyncio.timeout(30), broker.publisher(window=100) as publisher:
            publisher.route_to(queue)
            for first in range(1, 5_000, 100):
                await publisher.publish(people(100, first))
            await publisher.settle()
    tracker = publisher.tracker
    assert 0 < tracker.confirmed < 5_000
    assert tracker.published == tracker.confirmed + tracker.unsettled
    arrived = numbers(await broker.read(queue))
    assert arrived == [*range(1, len(arrived) + 1)]  # what arrived is the beginning of the file
    assert tracker.confirmed <= len(arrived) <= tracker.published


async def test_once_the_connection_is_lost_nothing_waits_for_ever(broker: Broker, queue: str) -> None:
    broker.lose_after(5)
    async with asyncio.timeout(30), broker.publisher(window=50) as publisher:
        publisher.route_to(queue)
        with pytest.raises(BrokerLost):
            await publisher.publish(people(2_000))
            await publisher.settle()
        with pytest.raises(BrokerLost):
            await publisher.publish(people(2_000, first=3_000))
            await publisher.settle()


@pytest.mark.parametrize("after", [1, 3, 9, 57, 130, 263, 2_000, 9_001, 65_537])
@pytest.mark.parametrize("kind", [Real, Plain])
async def test_a_connection_that_is_cut_at_any_byte_costs_what_was_not_whole_by_then(
    rabbit: RabbitSettings, kind: type[Real], after: int
) -> None:
    """In the head of a frame, in its middle, before its last byte: nothing after it came, all that was confirmed did.

    Between the two the broker may drop what it had read, when the connection goes.
    """
    queue = f"test-{uuid4()}"
    async with real_broker(kind, rabbit) as broker:
        await broker.declare(queue)
        with pytest.raises(BrokerLost):
            async with asyncio.timeout(30), broker.publisher(window=500) as publisher:
                publisher.route_to(queue)
                broker.proxy.cut_in(after)
                await publisher.publish(people(1_000))
                await publisher.settle()
        tracker = publisher.tracker
        assert tracker.published == tracker.confirmed + tracker.unsettled
        assert len(broker.proxy.passed) == after
        whole = whole_messages(broker.proxy.passed)
        held = numbers(await broker.read(queue))
        assert held == [*range(1, len(held) + 1)]
        assert tracker.confirmed <= len(held) <= whole <= tracker.published


def whole_messages(data: bytes) -> int:
    """Each ends with the last of the frames that hold its body."""
    count = left = 0
    while len(data) >= 7 and len(data) >= (size := int.from_bytes(data[3:7], "big") + 8):
        _, _, frame = pamqp_frame.unmarshal(bytes(data[:size]))
        data = data[size:]
        if isinstance(frame, ContentHeader):
            left = frame.body_size
        elif isinstance(frame, ContentBody):
            left -= len(frame.value)
            count += left == 0
    return count


class TestOurs:
    """What only a real connection can show."""

    @pytest.fixture
    async def queue(self, ours: Real) -> str:
        name = f"test-{uuid4()}"
        await ours.declare(name)
        return name

    @pytest.mark.parametrize("size", [130_900, 131_072, 131_073, 262_144, 1_000_000])
    async def test_a_body_larger_than_a_frame_arrives_whole(self, ours: Real, queue: str, size: int) -> None:
        rows = [Row(1, "a", "b"), Row(2, "\N{CRAB}x" * (size // 5), "m"), Row(3, "c", "d")]
        async with ours.publisher() as publisher:
            publisher.route_to(queue)
            await publisher.publish(rows)
            await publisher.settle()
        bodies = [json.loads(message.body) for message in await ours.read(queue)]
        assert bodies == [_body(row) for row in rows]

    async def test_a_queue_deleted_in_the_midst_costs_no_count(self, ours: Real, queue: str) -> None:
        async with ours.publisher() as publisher:
            publisher.route_to(queue)
            deleting = asyncio.create_task(ours.delete(queue))
            await publisher.publish(people(8_000))
            await deleting
            await publisher.publish(people(10, first=8_001))
            await publisher.settle()
            tracker = publisher.tracker
            assert tracker.confirmed + len(tracker.returned) == 8_010
            assert len(tracker.returned) > 0

    async def test_a_closed_channel_is_told_with_the_brokers_reason(
        self, ours: Real, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The broker closes the channel on what it cannot take: here, an exchange that is not there."""
        monkeypatch.setattr(messages, "EXCHANGE", "there-is-no-such-exchange")
        async with ours.publisher() as publisher:
            publisher.route_to(queue)
            with pytest.raises(BrokerRefused, match="NOT_FOUND - no exchange 'there-is-no-such-exchange'"):
                await publisher.publish(people(10))
                await publisher.settle()

    async def test_a_stalled_connection_can_be_left(
        self, ours: Real, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A broker that has stopped reading, as under a memory alarm, holds up nobody who wants to stop."""
        monkeypatch.setattr(connecting, "CLOSE_TIMEOUT", 0.2)
        async with asyncio.timeout(20):  # closing as usual would wait for the broker, which never answers
            with pytest.raises(TimeoutError):
                async with ours.publisher() as publisher:
                    publisher.route_to(queue)
                    ours.proxy.stall()
                    async with asyncio.timeout(0.3):
                        await publisher.publish(people(200_000))
        assert 0 < publisher.tracker.unsettled <= 2_048

    async def test_nothing_is_left_of_a_publisher(self, ours: Real, queue: str) -> None:
        before = asyncio.all_tasks()
        async with ours.publisher() as publisher:
            publisher.route_to(queue)
            await publisher.publish(people(100))
            await publisher.settle()
        await until(lambda: all(map(_of_proxy, asyncio.all_tasks() - before)))

    async def test_twenty_thousand_rows_are_counted_to_the_last(self, ours: Real, queue: str) -> None:
        async with asyncio.timeout(30), ours.publisher() as publisher:
            publisher.route_to(queue)
            for first in range(1, 20_001, 2_000):
                await publisher.publish(people(2_000, first))
            await publisher.settle()
            assert publisher.tracker.confirmed == 20_000
        declared = await ours.channel.declare_queue(queue, passive=True)
        assert declared.declaration_result.message_count == 20_000

    async def test_the_event_loop_goes_on_while_it_publishes(self, ours: Real, queue: str) -> None:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with ours.publisher() as publisher:
            publisher.route_to(queue)
            await publisher.publish(people(10_000))
            await publisher.settle()
        ticking.cancel()
        assert turns > 10_000 / 256


def _of_proxy(task: asyncio.Task[Any]) -> bool:
    return "tcp_proxy" in repr(task) or "Proxy" in repr(task)


class TestConnecting:
    async def refused(self, settings: RabbitSettings, error: type[Exception]) -> str:
        async with asyncio.timeout(30):  # neither waits for ever
            with pytest.raises(error) as caught:
                async with open_publisher(settings, shipment()):
                    raise AssertionError("it was let in")
            with pytest.raises(error):
                await probe(settings)
        assert "guess" not in f"{caught.value} {caught.value!r}"
        return str(caught.value)

    async def test_a_broker_that_answers_lets_in(self, rabbit: RabbitSettings) -> None:
        await probe(rabbit)

    async def test_nobody_listens(self, rabbit: RabbitSettings) -> None:
        async with proxy_to("127.0.0.1", 1) as proxy:
            port = proxy.port
        told = await self.refused(replace(rabbit, port=port, password="guess"), BrokerUnreachable)
        assert told == f"The broker at {rabbit.host}:{port} cannot be reached: Connection refused"

    async def test_a_wrong_password(self, rabbit: RabbitSettings) -> None:
        told = await self.refused(replace(rabbit, password="guess"), BrokerRefused)
        assert f"refused user {rabbit.user}" in told and "ACCESS_REFUSED" in told

    async def test_an_unknown_user(self, rabbit: RabbitSettings) -> None:
        await self.refused(replace(rabbit, user="nobody", password="guess"), BrokerRefused)

    async def test_a_wrong_vhost(self, rabbit: RabbitSettings) -> None:
        for vhost in ("nowhere", "no/where", "50%"):
            told = await self.refused(replace(rabbit, vhost=vhost), BrokerRefused)
            assert f"on vhost {vhost}" in told

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x01\x00\x00", b"\x00" * 64]
    )
    async def test_something_that_is_no_broker(self, rabbit: RabbitSettings, answer: bytes) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(8)
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            told = await self.refused(replace(rabbit, host="127.0.0.1", port=port), BrokerUnreachable)
        assert ("in HTTP, not in AMQP" in told) is answer.startswith(b"HTTP")

    async def test_something_that_never_answers(self, rabbit: RabbitSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.2)
        async with proxy_to(rabbit.host, rabbit.port) as proxy:
            proxy.stall()
            told = await self.refused(replace(rabbit, host="127.0.0.1", port=proxy.port), BrokerUnreachable)
        assert told.endswith("no answer within 0.2 s")

    async def test_a_connection_cut_at_any_moment_of_the_handshake(self, rabbit: RabbitSettings) -> None:
        """Whatever aiormq raises then; above all, it is not taken for a run being cancelled."""
        outcomes = set[str]()
        for after in range(0, 700, 7):
            async with proxy_to(rabbit.host, rabbit.port) as proxy:
                proxy.cut_after = after
                outcomes.add(await self._outcome(replace(rabbit, port=proxy.port)))
        assert outcomes == {"BrokerUnreachable", "let in"}

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("closed"),
            Exception(),
            asyncio.CancelledError(),
            aiormq.exceptions.ChannelInvalidStateError("closed"),
            ConnectionResetError(),
            None,
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_a_channel_that_does_not_open_is_a_broker_that_cannot_be_reached(
        self, rabbit: RabbitSettings, error: BaseException | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """aiormq has many words for it; with none, it does not answer."""

        async def open_channel(*_: Any, **__: Any) -> None:
            if error:
                raise error
            await asyncio.sleep(3600)

        monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.5)
        monkeypatch.setattr(module._TrackedChannel, "open", open_channel)
        assert await self._outcome(rabbit) == "BrokerUnreachable"

    async def test_who_is_cancelled_while_connecting_is_cancelled(self, rabbit: RabbitSettings) -> None:
        async with proxy_to(rabbit.host, rabbit.port) as proxy:
            proxy.stall()
            connecting = asyncio.create_task(self._outcome(replace(rabbit, port=proxy.port)))
            await asyncio.sleep(0.05)
            connecting.cancel()
            assert await connecting == "CancelledError"

    async def _outcome(self, settings: RabbitSettings) -> str:
        async with asyncio.timeout(30):
            try:
                async with open_publisher(settings, shipment()):
                    return "let in"
            except BaseException as error:  # noqa: BLE001 - which it is, is what is asked
                return type(error).__name__

    @pytest.mark.parametrize("password", ["p@ss:w/rd", "50%25", "a?b#c&d=e", "\N{CRAB} é", "", "+ "])
    @pytest.mark.parametrize("vhost", ["/", "a/b", "%2f", "ü ?#", "/x/"])
    async def test_any_password_and_vhost_reach_the_broker_as_they_are(self, password: str, vhost: str) -> None:
        settings = RabbitSettings(host="::1", password=password, vhost=vhost, heartbeat=7)
        connection = aiormq.Connection(url_of(settings))
        assert (connection.url.host, connection.url.password or "") == ("::1", password)
        assert (connection.vhost, connection.heartbeat_timeout) == (vhost, 7)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.integers(8, 300))
def test_the_frames_of_any_row_are_frames_of_amqp(texts: list[tuple[str, str]], size: int) -> None:
    """Read back by the library that knows the protocol."""
    encoder = MessageEncoder(RUN, STARTED, size, RowDigest())
    encoder.route_to("queue-\N{CRAB}")
    rows = [Row(number, *pair) for number, pair in enumerate(texts, 1)]
    data, got = encoder.encode(rows), []
    while data:
        used, channel, frame = pamqp_frame.unmarshal(data)
        assert channel == 1
        data = data[used:]
        if isinstance(frame, Basic.Publish):
            assert (frame.exchange, frame.routing_key, frame.mandatory) == (
                "",
                "queue-\N{CRAB}",
                True,
            )
            got.append(["", b"", 0])
        elif isinstance(frame, ContentHeader):
            got[-1][0], got[-1][2] = frame.properties.message_id, frame.body_size
        else:
            assert isinstance(frame, ContentBody) and 0 < len(frame.value) <= size
            got[-1][1] += frame.value
    bodies = [json.dumps(_body(row), ensure_ascii=False).encode() for row in rows]
    assert got == [[f"{RUN}:{row.number}", body, len(body)] for row, body in zip(rows, bodies, strict=True)]
