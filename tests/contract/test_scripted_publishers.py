"""What a broker may say, in any order and at any time: our publisher and a plain one on aio-pika make the same of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import pytest
from pamqp.commands import Basic, Channel, Connection

from promise_pub.delivery.ports import Publisher
from promise_pub.errors import BrokerLost, BrokerRefused
from promise_pub.settings.model import RabbitSettings
from tests.amqp_peer import Peer, marshalled, running_peer
from tests.contract.test_publishers import Plain, Real, people

ROWS = 6
WITHIN = 30.0  # seconds; everything here takes a fraction of one
KINDS = [Real, Plain]


class Fates(NamedTuple):
    """How many rows were confirmed, and which were not."""

    confirmed: int
    returned: str = ""
    nacked: str = ""


def ack(tag: int, *, multiple: bool = False) -> Any:
    return Basic.Ack(tag, multiple)


def nack(tag: int, *, multiple: bool = False) -> Any:
    return Basic.Nack(tag, multiple, requeue=False)


Script = Callable[[Peer], list[Any]]
ALL = ack(ROWS, multiple=True)
CASES: dict[str, tuple[Script, Fates]] = {
    "one by one": (lambda _: [ack(n) for n in range(1, 7)], Fates(6)),
    "backwards": (lambda _: [ack(n) for n in range(6, 0, -1)], Fates(6)),
    "all at once": (lambda _: [ALL], Fates(6)),
    "some alone, the others together": (
        lambda _: [ack(4), ack(2), ack(3, multiple=True), ALL],
        Fates(6),
    ),
    "some twice": (
        lambda _: [ack(2), ack(2), ack(3, multiple=True), ack(1), ack(3, multiple=True), ALL],
        Fates(6),
    ),
    "one refused": (lambda _: [ack(1), nack(2), ALL], Fates(5, nacked="2")),
    "many refused at once": (
        lambda _: [ack(1), ack(3), nack(4, multiple=True), ALL],
        Fates(4, nacked="2,4"),
    ),
    "the last refused first": (lambda _: [nack(6), ack(5, multiple=True)], Fates(5, nacked="6")),
    "all refused": (lambda _: [nack(6, multiple=True)], Fates(0, nacked="1-6")),
    "one that came back": (lambda peer: [*peer.back(2), ack(2), ack(1), ALL], Fates(5, "2")),
    "some that came back, all acked at once": (
        lambda peer: [*peer.back(2), *peer.back(3), *peer.back(5), ALL],
        Fates(3, "2-3,5"),
    ),
    "the last came back first": (
        lambda peer: [*peer.back(6), ack(6), ack(5, multiple=True)],
        Fates(5, "6"),
    ),
    "all that can happen": (
        lambda peer: [*peer.back(4), nack(2), ack(4), ack(6), ack(3, multiple=True), nack(5)],
        Fates(3, "4", "2,5"),
    ),
}


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with running_peer() as running:
        yield running


def publisher_at(peer: Any, kind: type[Real]) -> AbstractAsyncContextManager[Publisher]:
    """The peer stands where the other tests' proxy does."""
    return kind(RabbitSettings(host="there"), peer, None).publisher()


async def publish(publisher: Publisher, first: int = 1, count: int = ROWS) -> None:
    await publisher.publish(people(count, first))
    await publisher.settle()


def fates(publisher: Publisher) -> Fates:
    tracker = publisher.tracker
    return Fates(tracker.confirmed, str(tracker.returned), str(tracker.nacked))


@pytest.mark.parametrize("piece", [0, 1, 13], ids=["whole", "bytes", "pieces"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_broker_may_settle_rows_in_any_order(peer: Peer, kind: type[Real], case: str, piece: int) -> None:
    script, expected = CASES[case]
    async with asyncio.timeout(WITHIN), publisher_at(peer, kind) as publisher:
        publisher.route_to("q")
        publishing = asyncio.create_task(publish(publisher))
        await peer.until(ROWS)
        await peer.say(script(peer), piece)
        await publishing
        assert fates(publisher) == expected
        assert publisher.tracker.unsettled == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broker_that_hangs_up_at_any_byte_has_settled_what_it_had_said_in_full(
    peer: Peer, kind: type[Real]
) -> None:
    script = [ack(2), nack(1), ack(4, multiple=True), ack(5)]
    settled = [Fates(0), Fates(1), Fates(1, nacked="1"), Fates(3, nacked="1"), Fates(4, nacked="1")]
    ends = [len(marshalled(script[:said])) for said in range(len(script) + 1)]
    for count in range(0, ends[-1] + 1, 3):
        said = max(n for n, end in enumerate(ends) if end <= count)
        async with asyncio.timeout(WITHIN):
            with pytest.raises(BrokerLost):
                async with publisher_at(peer, kind) as publisher:
                    publisher.route_to("q")
                    publishing = asyncio.create_task(publish(publisher))
                    await peer.until(ROWS)
                    await peer.hang_up_after(script, count)
                    await publishing
        assert fates(publisher) == settled[said], count


@pytest.mark.parametrize("kind", KINDS)
async def test_a_broker_that_blocks_is_known_to_and_gets_everything_when_it_does_no_more(
    peer: Peer, kind: type[Real]
) -> None:
    async with asyncio.timeout(WITHIN), publisher_at(peer, kind) as publisher:
        publisher.route_to("q")
        first = asyncio.create_task(publish(publisher))
        await peer.until(ROWS)
        assert not publisher.blocked
        await peer.say([Connection.Blocked("low on memory")], channel=0)
        await peer.say([ALL])  # it settles what it has all the same
        await first
        assert publisher.blocked
        second = asyncio.create_task(publish(publisher, first=ROWS + 1))
        await peer.say([Connection.Unblocked()], channel=0)
        await peer.until(2 * ROWS)
        assert not publisher.blocked
        await peer.say([ack(2 * ROWS, multiple=True)])
        await second
        assert fates(publisher) == Fates(2 * ROWS)


REFUSALS = [403, 404, 405, 406, 530]
LOSSES = [200, 311, 320, 501, 502, 503, 504, 505, 506, 540, 541]


@pytest.mark.parametrize("where", ["channel", "connection"])
@pytest.mark.parametrize("code", REFUSALS + LOSSES)
async def test_a_refusal_is_told_from_a_loss_by_its_code_wherever_it_is_said(peer: Peer, where: str, code: int) -> None:
    kind = BrokerRefused if code in REFUSALS else BrokerLost
    close = Channel.Close if where == "channel" else Connection.Close
    said = close(code, "THE_WORDS - of the broker", class_id=0, method_id=0)
    async with asyncio.timeout(WITHIN), publisher_at(peer, Real) as publisher:
        publisher.route_to("q")
        publishing = asyncio.create_task(publish(publisher))
        await peer.until(ROWS)
        await peer.say([ack(2, multiple=True)])
        await peer.say([said], channel=1 if where == "channel" else 0)
        with pytest.raises(kind, match="THE_WORDS - of the broker") as caught:
            await publishing
        assert fates(publisher) == Fates(2)
        with pytest.raises(kind):
            await publisher.check_queue()
    assert caught.value.passes is (kind is BrokerLost)


async def test_a_broker_that_hangs_up_is_told_in_the_same_words_wherever_it_did(peer: Peer) -> None:
    """Losses are counted by their words."""
    script = [ack(2), nack(1), ack(4, multiple=True)]
    told = set[str]()
    for count in range(0, len(marshalled(script)), 5):
        with pytest.raises(BrokerLost) as caught:
            async with asyncio.timeout(WITHIN), publisher_at(peer, Real) as publisher:
                publisher.route_to("q")
                publishing = asyncio.create_task(publish(publisher))
                await peer.until(ROWS)
                await peer.hang_up_after(script, count)
                await publishing
        told.add(caught.value.message)
    assert told <= {
        "The connection to the broker was lost (it hung up)",
        "The connection to the broker was lost (Connection reset by peer)",
        "The connection to the broker was lost",
    }
