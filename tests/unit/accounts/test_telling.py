"""Events about accounts: logins before the cookie, tokens once a quarter of an hour, failures summed up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from promise_pub.accounts import telling as module
from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Principal, Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.accounts.telling import AccountTelling
from promise_pub.errors import DatabaseUnavailable, LoginFailed, TooManyTries
from promise_pub.event_records import OutboxEvent
from tests.fake_accounts import QUICK, FakeAccounts
from tests.fakes import until

CI = Principal("ci", Role.OPERATOR)


class Box:
    """An outbox in memory; `away` while it is set."""

    def __init__(self) -> None:
        self.events: list[OutboxEvent] = []
        self.away = False

    async def put(self, event: OutboxEvent) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise DatabaseUnavailable
        self.events.append(event)

    def told(self) -> list[tuple[str, str | None, Any]]:
        return [(event.topic, event.actor, event.body) for event in self.events]


async def authenticator(box: Box) -> tuple[Authenticator, AccountTelling]:
    accounts = FakeAccounts()
    await accounts.add_user("ann", Role.VIEWER, await Passwords(QUICK).hash("correct horse"))
    telling = AccountTelling(box.put)
    signer = SessionSigner(b"k" * 32, hours=1)
    return Authenticator(accounts, signer, Passwords(QUICK), LoginAttempts(), telling), telling


async def test_a_login_is_told_before_there_is_a_session() -> None:
    box = Box()
    entrance, _ = await authenticator(box)
    await entrance.log_in("Ann ", "correct horse", "10.0.0.1")
    assert box.told() == [("account.login", "ann", {"user": "ann", "role": "viewer"})]
    box.away = True
    with pytest.raises(DatabaseUnavailable):
        await entrance.log_in("ann", "correct horse", "10.0.0.1")


async def test_failed_logins_are_summed_up_and_tell_nothing_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    box.away = True
    entrance, telling = await authenticator(box)
    monkeypatch.setattr(module, "TELL_EVERY", 0.01)
    monkeypatch.setattr(module, "FAILURES_EVERY", 0.01)
    async with telling.running():
        for number in range(30):
            with pytest.raises((LoginFailed, TooManyTries)):
                await entrance.log_in("ann", f"guess {number}", "10.0.0.1")
        box.away = False
        await until(lambda: sum(event.body["times"] for event in box.events) == 30)
        assert {event.body["reason"] for event in box.events} == {"login_failed", "too_many_tries"}
        assert all(event.actor is None and {*event.body} == {"reason", "times"} for event in box.events)
        assert all(event.body["times"] for event in box.events)
        monkeypatch.setattr(module, "FAILURES_EVERY", 3600)
        await asyncio.sleep(0.05)
        telling.note_failure("login_failed")
    assert box.events[-1].body == {"reason": "login_failed", "times": 1}


async def flushed(telling: AccountTelling) -> None:
    async with telling.running():
        await asyncio.sleep(0)


async def test_the_first_use_of_a_token_in_a_quarter_of_an_hour_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    telling = AccountTelling(box.put)
    monkeypatch.setattr(module, "QUARTER", 10**10)
    for _ in range(100):
        telling.note_token(CI)
    telling.note_token(Principal("other", Role.VIEWER))
    await flushed(telling)
    assert box.told() == [
        ("account.token_used", "ci", {"token": "ci", "role": "operator"}),
        ("account.token_used", "other", {"token": "other", "role": "viewer"}),
    ]
    again = AccountTelling(box.put)
    again.note_token(CI)
    await flushed(again)
    assert box.events[-1].message_id == box.events[0].message_id, "another server's is the same event"
    monkeypatch.setattr(module, "QUARTER", 1)
    telling.note_token(CI)
    await flushed(telling)
    assert box.events[-1].message_id != box.events[0].message_id


async def test_a_use_lets_in_whoever_it_is_though_it_cannot_be_told_and_is_told_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box()
    box.away = True
    entrance, telling = await authenticator(box)
    accounts = FakeAccounts()
    token, _ = await accounts.add_token("ci", Role.OPERATOR, 1)
    entrance._accounts = accounts
    monkeypatch.setattr(module, "TELL_EVERY", 0.01)
    async with telling.running():
        assert (await entrance.find_by_token(token)).name == "ci"
        await until(lambda: caplog.records)
        await asyncio.sleep(0.05)
        assert len(caplog.records) == 1
        box.away = False
        await until(lambda: box.events)
    assert [event.topic for event in box.events] == ["account.token_used"]


async def test_an_event_whose_answer_was_lost_is_the_same_when_it_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[OutboxEvent] = []

    async def put(event: OutboxEvent) -> None:
        asked.append(event)
        if len(asked) == 1:
            raise DatabaseUnavailable

    monkeypatch.setattr(module, "TELL_EVERY", 0.01)
    monkeypatch.setattr(module, "FAILURES_EVERY", 0.0)
    telling = AccountTelling(put)
    async with telling.running():
        telling.note_failure("login_failed")
        await until(lambda: len(asked) >= 2)
    assert asked[0] == asked[1] and len(asked) == 2
