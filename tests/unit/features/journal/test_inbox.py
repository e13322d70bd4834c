"""Batches of messages in hand: full, or waited for long enough, or ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from promise_pub.features.journal.bus.inbox import BATCH, BATCH_DELAY, Inbox
from promise_pub.features.journal.event_columns import row_of
from promise_pub.features.journal.ports import BATCH_BYTES
from promise_pub.features.journal.reading import MAX_EVENT, MAX_HEADERS, read_message
from tests.virtual_time import VirtualTimeLoop


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    yield loop
    loop.close()


def run(loop: VirtualTimeLoop, work: Coroutine[Any, Any, None]) -> None:
    loop.run_until_complete(work)


def deliver(inbox: Inbox, first: int, count: int, size: int = 1, headers: dict[str, Any] | None = None) -> None:
    for tag in range(first, first + count):
        pieces: list[Any] = [
            Basic.Deliver("tag", tag, False, "events", "a.b"),
            ContentHeader(0, size, Basic.Properties(message_id=str(tag), headers=headers)),
            ContentBody(b"x" * size),
        ]
        frames = bytearray(b"".join(frame.marshal(one, 1) for one in pieces))
        assert inbox.take_frames(frames) == len(frames)


def test_a_message_waits_a_second_for_others(loop: VirtualTimeLoop) -> None:
    async def work() -> None:
        inbox = Inbox()
        waiting = asyncio.create_task(inbox.next_batch())
        await asyncio.sleep(5)
        deliver(inbox, 1, 1)
        await asyncio.sleep(BATCH_DELAY / 2)
        deliver(inbox, 2, 1)
        batch = await waiting
        assert [(one.tag, one.routing_key, one.body, one.properties.message_id) for one in batch] == [
            (1, b"a.b", b"x", b"1"),
            (2, b"a.b", b"x", b"2"),
        ]
        assert loop.time() == 5 + BATCH_DELAY

    run(loop, work())


def test_a_batch_that_is_full_waits_for_nothing(loop: VirtualTimeLoop) -> None:
    async def work() -> None:
        inbox = Inbox()
        deliver(inbox, 1, BATCH + 1)
        assert len(await inbox.next_batch()) == BATCH and loop.time() == 0
        assert [one.tag for one in await inbox.next_batch()] == [BATCH + 1]

    run(loop, work())


def test_a_batch_is_full_of_long_bodies_too(loop: VirtualTimeLoop) -> None:
    async def work() -> None:
        inbox = Inbox()
        full = BATCH_BYTES // MAX_EVENT
        deliver(inbox, 1, full + 1, MAX_EVENT)
        assert len(await inbox.next_batch()) == full and loop.time() == 0
        assert [one.tag for one in await inbox.next_batch()] == [full + 1]

    run(loop, work())


def test_a_batch_is_full_of_long_headers_too(loop: VirtualTimeLoop) -> None:
    async def work() -> None:
        inbox = Inbox()
        deliver(inbox, 1, BATCH // 2, headers={"x": "\x01" * (MAX_HEADERS - 100)})
        first = await inbox.next_batch()
        assert loop.time() == 0
        stored = [row_of(read_message(one, "").event)[-1] for one in first]
        assert BATCH_BYTES // 2 < sum(map(len, stored)) < BATCH_BYTES
        assert [one.tag for one in await inbox.next_batch()][0] == first[-1].tag + 1

    run(loop, work())


def test_the_end_ends_every_wait(loop: VirtualTimeLoop) -> None:
    async def work() -> None:
        inbox = Inbox()
        waits = asyncio.gather(inbox.next_batch(), inbox.wait(60))
        await asyncio.sleep(1)
        inbox.note_end()
        assert await waits == [[], None] and loop.time() == 1

    run(loop, work())
