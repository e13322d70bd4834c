"""Large answers are made one at a time: operators do not wait for viewers, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from promise_pub.errors import ServerBusy
from promise_pub.http import responses
from promise_pub.http.responses import LargeAnswers


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
