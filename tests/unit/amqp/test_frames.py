"""Frames taken before aiormq reads them: the same as pamqp decodes, however the bytes come in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from promise_pub.amqp.frames import (
    CHUNK,
    MORE,
    Confirm,
    DeliveredMessage,
    RoutedMessage,
    TappedReader,
    parse_confirms,
    parse_deliveries,
    parse_routed,
)

CHANNEL = 1
WORDS = st.text("abc-é\N{CRAB}:", max_size=12)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "content_type": WORDS,
        "content_encoding": WORDS,
        "headers": st.dictionaries(st.text("abc", min_size=1, max_size=5), st.integers(0, 9)),
        "delivery_mode": st.sampled_from([1, 2]),
        "priority": st.integers(0, 9),
        "correlation_id": WORDS,
        "reply_to": WORDS,
        "expiration": WORDS,
        "message_id": WORDS,
        "timestamp": st.just(datetime(2026, 11, 22, tzinfo=UTC)),
        "app_id": WORDS,
    },
)
DELIVERIES = st.builds(
    lambda *given: given,
    st.integers(1, 2**63 - 1),
    st.booleans(),
    WORDS,
    PROPERTIES,
    st.binary(max_size=300),
    st.integers(1, 120),
)
CONFIRMS = st.builds(Confirm, st.integers(0, 2**63 - 1), st.booleans(), st.booleans())
OTHERS = st.sampled_from(
    [
        (0, Heartbeat()),
        (0, commands.Connection.Blocked("low on memory")),
        (2, commands.Basic.Nack(7, True, False)),
        (CHANNEL, commands.Channel.CloseOk()),
        (2, commands.Basic.Ack(3, True)),
        (CHANNEL, commands.Basic.ConsumeOk("tag")),
    ]
)


def marshal(what: Any) -> bytes:
    if isinstance(what, Confirm):
        if what.nack:
            return frame.marshal(commands.Basic.Nack(what.tag, what.multiple, False), CHANNEL)
        return frame.marshal(commands.Basic.Ack(what.tag, what.multiple), CHANNEL)
    channel, value = what
    return frame.marshal(value, channel)


def marshal_delivery(
    tag: int, redelivered: bool, word: str, properties: dict[str, Any], body: bytes, piece: int
) -> bytes:
    deliver = commands.Basic.Deliver(word, tag, redelivered, "", "a-queue")
    header = ContentHeader(0, len(body), commands.Basic.Properties(**properties))
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
    values: list[Any] = [deliver, header, *map(ContentBody, pieces)]
    return b"".join(frame.marshal(value, CHANNEL) for value in values)


class Stream:
    """Bytes as they may come in: cut anywhere."""

    def __init__(self, text: bytes, cuts: list[int]) -> None:
        places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
        self._pieces = [text[start:end] for start, end in zip(places, places[1:], strict=False) if start < end]

    def at_eof(self) -> bool:
        return not self._pieces

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else b""


async def left_for_aiormq(reader: TappedReader) -> bytes:
    """Reads frames as aiormq does, to the end."""
    text = b""
    try:
        while not reader.at_eof():
            start = await reader.readexactly(1) + await reader.readexactly(6)
            text += start + await reader.readexactly(int.from_bytes(start[3:7], "big") + 1)
    except asyncio.IncompleteReadError as error:
        assert not error.partial
    return text


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(CONFIRMS | OTHERS, max_size=12), st.lists(st.integers(0, 5_000), max_size=12))
def test_confirms_are_taken_and_the_rest_is_left_in_its_order(sent: list[Any], cuts: list[int]) -> None:
    taken: list[Confirm] = []

    def tap(buffer: bytearray) -> int:
        found, size, returned = parse_confirms(buffer)
        assert not returned
        taken.extend(found)
        return size

    reader = TappedReader(Stream(b"".join(map(marshal, sent)), cuts))  # type: ignore[arg-type]
    reader.tap = tap
    rest = asyncio.run(left_for_aiormq(reader))
    assert taken == [one for one in sent if isinstance(one, Confirm)]
    assert rest == b"".join(marshal(one) for one in sent if not isinstance(one, Confirm))


@settings(deadline=None)
@given(
    st.lists(DELIVERIES.map(lambda given: ("delivery", given)) | OTHERS, max_size=6),
    st.lists(st.integers(0, 5_000), max_size=12),
)
def test_deliveries_are_taken_whole_and_the_rest_is_left(sent: list[Any], cuts: list[int]) -> None:
    taken: list[DeliveredMessage] = []

    def tap(buffer: bytearray) -> int:
        found, size = parse_deliveries(buffer)
        taken.extend(found)
        return size

    text = b"".join(marshal_delivery(*one[1]) if one[0] == "delivery" else marshal(one) for one in sent)
    reader = TappedReader(Stream(text, cuts))  # type: ignore[arg-type]
    reader.tap = tap
    rest = asyncio.run(left_for_aiormq(reader))
    wanted = [
        DeliveredMessage(tag, properties.get("message_id") or None, redelivered, body)
        for tag, redelivered, _, properties, body, _ in (one[1] for one in sent if one[0] == "delivery")
    ]
    assert taken == wanted
    assert rest == b"".join(marshal(one) for one in sent if one[0] != "delivery")


@given(DELIVERIES, st.integers(0, 400))
def test_a_routed_message_is_what_pamqp_decodes_however_it_is_cut(given: Any, longest: int) -> None:
    tag, redelivered, word, properties, body, piece = given
    text = marshal_delivery(*given)
    for cut in range(len(text)):
        assert parse_routed(bytearray(text[:cut]), longest) == ([], MORE if 7 < cut or cut and text[0] == 1 else 0)
    found, size = parse_routed(bytearray(text * 2), longest)
    header = ContentHeader(0, len(body), commands.Basic.Properties(**properties))
    kept = body if len(body) <= longest else None
    assert found == [RoutedMessage(tag, b"a-queue", header.marshal()[12:], len(body), kept)] * 2
    assert size == 2 * len(text)


class CountingBuffer(bytearray):
    """A buffer that counts the bytes copied out of it."""

    copied = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.copied += len(found) if isinstance(place, slice) else 1
        return found


def test_a_long_body_is_copied_once_however_many_pieces_it_comes_in() -> None:
    body = b"x" * 1024**2
    text = marshal_delivery(1, False, "t", {}, body, 131_000)
    buffer = CountingBuffer()
    for start in range(0, len(text), CHUNK):
        buffer += text[start : start + CHUNK]
        found, _ = parse_deliveries(buffer)
    assert found[0].body == body and buffer.copied < 1.1 * len(body)


def test_a_return_is_told_before_the_ack_that_follows_it() -> None:
    returned = frame.marshal(commands.Basic.Return(312, "NO_ROUTE", "", "q"), CHANNEL)
    ack = marshal(Confirm(5, False))
    assert parse_confirms(bytearray(ack + returned + ack)) == (
        [Confirm(5, False)],
        len(ack),
        True,
    )
    assert parse_confirms(bytearray(returned + ack)) == ([], 0, True)
    assert parse_confirms(bytearray(returned[:10])) == ([], MORE, False)


async def test_a_tap_set_while_a_frame_is_waited_for_gets_it() -> None:
    source = asyncio.StreamReader()
    reader = TappedReader(source)
    waiting = asyncio.create_task(left_for_aiormq(reader))
    await asyncio.sleep(0)
    taken: list[Confirm] = []

    def tap(buffer: bytearray) -> int:
        found, size, _ = parse_confirms(buffer)
        taken.extend(found)
        return size

    reader.tap = tap
    source.feed_data(marshal(Confirm(1, True)))
    source.feed_eof()
    assert await asyncio.wait_for(waiting, 30) == b"" and taken == [Confirm(1, True)]


async def test_an_end_in_the_middle_of_a_frame_is_an_end_for_aiormq_too() -> None:
    reader = TappedReader(Stream(marshal(Confirm(1, True))[:15], [3, 9]))  # type: ignore[arg-type]
    reader.tap = lambda buffer: parse_confirms(buffer)[1]
    assert await reader.readexactly(1) + await reader.readexactly(6) == marshal(Confirm(1, True))[:7]
    with pytest.raises(asyncio.IncompleteReadError):
        await reader.readexactly(14)
