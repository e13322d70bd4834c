"""Lookups: few at a time, shared by who asks the same before one begins, and never by who asks after that."""

from __future__ import annotations

import asyncio

import pytest

from promise_pub.accounts import lookups
from promise_pub.accounts.lookups import MAX_AT_ONCE, MAX_WAITING, Lookups
from promise_pub.errors import DatabaseUnavailable, ServerBusy


class Accounts:
    """Answers when told to, each question with its number."""

    def __init__(self) -> None:
        self.asked = self.asking = self.most = 0
        self.answer = asyncio.Event()

    async def find(self) -> int:
        self.asked += 1
        number = self.asked
        self.asking += 1
        self.most = max(self.most, self.asking)
        try:
            await self.answer.wait()
        finally:
            self.asking -= 1
        return number


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_few_are_asked_at_a_time() -> None:
    many, accounts = Lookups(), Accounts()
    asking = [asyncio.create_task(many.find(number, accounts.find, str(number))) for number in range(100)]
    await settled()
    assert accounts.asking == MAX_AT_ONCE
    accounts.answer.set()
    assert sorted(await asyncio.gather(*asking)) == [*range(1, 101)]
    assert accounts.most == MAX_AT_ONCE


async def test_who_asks_the_same_before_a_lookup_begins_shares_it() -> None:
    many, accounts = Lookups(), Accounts()
    others = [asyncio.create_task(many.find(number, accounts.find)) for number in range(MAX_AT_ONCE)]
    await settled()
    same = [asyncio.create_task(many.find("token", accounts.find)) for _ in range(1000)]
    await settled()
    accounts.answer.set()
    assert {*await asyncio.gather(*same)} == {MAX_AT_ONCE + 1}
    await asyncio.gather(*others)


async def test_who_asks_after_it_began_asks_anew() -> None:
    """A token that was revoked meanwhile is not found."""
    many, accounts = Lookups(), Accounts()
    first = asyncio.create_task(many.find("token", accounts.find))
    await settled()
    second = asyncio.create_task(many.find("token", accounts.find))
    await settled()
    accounts.answer.set()
    assert (await first, await second) == (1, 2)


async def test_errors_reach_all_who_asked_and_nothing_is_kept() -> None:
    many = Lookups()

    async def fail() -> int:
        raise DatabaseUnavailable("away")

    asked = await asyncio.gather(*(many.find("token", fail) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in asked] == [DatabaseUnavailable] * 3
    assert not many._queued and not many._of_clients


async def test_who_leaves_does_not_end_the_lookup_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    many, accounts = Lookups(), Accounts()
    first, second = (asyncio.create_task(many.find("token", accounts.find)) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    accounts.answer.set()
    assert await second == 1
    monkeypatch.setattr(lookups, "TURN_TIMEOUT", 0.01)
    accounts.answer.clear()
    with pytest.raises(DatabaseUnavailable):
        await many.find("token", accounts.find)
    accounts.answer.set()


async def test_what_nobody_waits_for_any_more_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "TURN_TIMEOUT", 0.01)
    many, accounts = Lookups(), Accounts()
    asking = [many.find(number, accounts.find, str(number)) for number in range(100)]
    asked = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(each) for each in asked} == {DatabaseUnavailable}
    accounts.answer.set()
    await settled()
    assert accounts.asked == MAX_AT_ONCE and not many._queued and not many._of_clients


async def test_one_client_has_few_waiting_and_leaves_room_for_others() -> None:
    many, accounts = Lookups(), Accounts()
    guesses = [asyncio.create_task(many.find(number, accounts.find, "2001:db8::/64")) for number in range(500)]
    await settled()
    other = asyncio.create_task(many.find("token", accounts.find, "203.0.113.1"))
    await settled()
    assert len(many._queued) <= MAX_WAITING + 1
    accounts.answer.set()
    assert await other <= MAX_WAITING + MAX_AT_ONCE + 1
    told = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(each, ServerBusy) for each in told) >= 500 - MAX_WAITING - MAX_AT_ONCE


async def test_one_who_is_cancelled_at_once_leaves_nothing() -> None:
    many, accounts = Lookups(), Accounts()
    asking = [asyncio.create_task(many.find(number, accounts.find)) for number in range(10)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await settled()
    assert not many._queued and not many._of_clients
    accounts.answer.set()
