"""Large answers are made one at a time: operators do not wait for viewers, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from promise_pub.concurrency import cancel_tasks
from promise_pub.errors import ServerBusy
from promise_pub.http import responses
from promise_pub.http.responses import LARGE_ANSWERS, LargeAnswers, as_csv, as_json, large_answer


async def test_one_is_made_at_a_time() -> None:
    answers, making = LargeAnswers(), 0

    async def make() -> int:
        nonlocal making
        async with answers.turn(operator=False):
            making += 1
            most = making
            await asyncio.sleep(0.001)
            making -= 1
        return most

    assert await asyncio.gather(*(make() for _ in range(10))) == [1] * 10


async def test_an_operator_does_not_wait_for_viewers_and_they_do_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(responses, "TURN_TIMEOUT", 0.01)
    answers = LargeAnswers()
    async with answers.turn(operator=False):
        async with answers.turn(operator=True):
            for operator in (True, False):
                with pytest.raises(ServerBusy):
                    async with answers.turn(operator=operator):
                        raise AssertionError
    async with answers.turn(operator=False):
        assert True


class Asked:
    """A request whose client may leave."""

    def __init__(self) -> None:
        self.transport: object | None = object()
        self.app = {LARGE_ANSWERS: LargeAnswers()}


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_what_nobody_waits_for_any_more_is_not_made_to_its_end(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(responses, "may_operate", lambda _: True)
    request: Any = Asked()
    made = 0

    def rows() -> Iterator[list[int]]:
        nonlocal made
        for made in range(1, 1000):
            if made == 10:
                request.transport = None
            yield [made]

    async with large_answer(request) as make:
        if form == "json":
            await make(as_json, rows())
        else:
            await make(as_csv, ["number"], rows(), "numbers.csv")
    assert made in (10, 11)


async def test_a_server_that_stops_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "may_operate", lambda _: True)
    request: Any = Asked()
    begun = threading.Event()

    def rows() -> Iterator[list[int]]:
        while True:
            begun.set()
            yield [1]

    async def ask() -> None:
        async with large_answer(request) as make:
            await make(as_csv, ["number"], rows(), "numbers.csv")

    asking = asyncio.create_task(ask())
    await asyncio.to_thread(begun.wait)
    await asyncio.wait_for(cancel_tasks(asking), 10)
    assert asking.cancelled()
