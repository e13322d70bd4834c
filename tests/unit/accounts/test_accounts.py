"""The rules of who may in: names, passwords, tries, sessions."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from argon2 import PasswordHasher
from itsdangerous import timed

from promise_pub.accounts import login_attempts, passwords
from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import MAX_FOR_NAME, MAX_FROM_ADDRESS, MAX_KEPT, WINDOW, LoginAttempts
from promise_pub.accounts.passwords import Passwords, checked_password
from promise_pub.accounts.people import Principal, Role, checked_name
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import (
    BadParameter,
    DatabaseUnavailable,
    LoginFailed,
    ServerBusy,
    TokenRefused,
    TooManyTries,
)
from tests.fake_accounts import QUICK, FakeAccounts
from tests.fakes import until

PASSWORD = "correct horse"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(counted: LoginAttempts, name: str = "ann", address: str = "192.0.2.1") -> None:
    with pytest.raises(LoginFailed), counted.count(name, address):
        raise LoginFailed


def refused(counted: LoginAttempts, name: str = "ann", address: str = "192.0.2.1") -> TooManyTries:
    with pytest.raises(TooManyTries) as caught, counted.count(name, address):
        raise AssertionError("nobody may try")
    return caught.value


def test_a_name_is_guarded_from_guesses_from_anywhere_until_the_time_is_over(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FOR_NAME):
        fail(counted, address=f"192.0.2.{number}")
        clock.now += 10
    assert refused(counted, address="192.0.2.99").retry_after == WINDOW - MAX_FOR_NAME * 10
    fail(counted, name="bob")
    clock.now += WINDOW - MAX_FOR_NAME * 10
    fail(counted)
    refused(counted)


def test_an_address_may_not_try_name_after_name(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"name{number}")
    assert refused(counted, name="another").retry_after == WINDOW
    fail(counted, name="another", address="192.0.2.2")


def test_the_addresses_of_one_network_count_as_one(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"name{number}", address=f"2001:db8:1:2::{number:x}")
    refused(counted, name="another", address="2001:db8:1:2:ffff::1")
    fail(counted, name="another", address="2001:db8:1:3::1")
    for number in range(MAX_FROM_ADDRESS):
        fail(counted, name=f"more{number}", address="::ffff:192.0.2.1")
    fail(counted, name="another", address="::ffff:192.0.2.2")


def test_tries_at_once_are_counted_before_they_are_answered(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    begun = [counted.count("ann", "192.0.2.1") for _ in range(MAX_FOR_NAME)]
    for one in begun:
        one.__enter__()
    refused(counted)
    for one in begun:
        one.__exit__(None, None, None)
    with counted.count("ann", "192.0.2.1"):
        pass


def test_who_logs_in_is_forgiven_the_name_but_not_the_address(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FROM_ADDRESS // (MAX_FOR_NAME - 1)):
        for _ in range(MAX_FOR_NAME - 1):
            fail(counted)
        with counted.count("ann", "192.0.2.1"):
            pass
    while True:
        try:
            fail(counted, name="bob")
        except TooManyTries:
            break
    refused(counted, name="another")


def test_a_try_without_an_answer_is_no_failed_one(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FROM_ADDRESS + 1):
        with pytest.raises(DatabaseUnavailable), counted.count("ann", "192.0.2.1"):
            raise DatabaseUnavailable
    fail(counted)


def test_who_hangs_up_during_a_try_has_had_it(clock: Clock) -> None:
    counted = LoginAttempts(clock)
    for _ in range(MAX_FOR_NAME):
        with pytest.raises(asyncio.CancelledError), counted.count("ann", "192.0.2.1"):
            raise asyncio.CancelledError
    refused(counted)


def test_memory_is_bounded_whatever_is_tried(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_attempts, "MAX_KEPT", 100)
    counted = LoginAttempts(clock)
    for number in range(300):
        fail(counted, name=f"{number}" + "x" * 5000, address=f"{number}" + "y" * 5000)
    names, addresses = counted._names._failed, counted._addresses._failed
    assert len(names) <= 100 and len(addresses) <= 100 < MAX_KEPT
    assert max(map(len, [*names, *addresses])) <= 64


def test_a_session_is_read_by_who_signed_it_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timed.time.time()
    monkeypatch.setattr(timed.time, "time", lambda: now)
    ours = SessionSigner(b"k" * 32, hours=12)
    sealed = ours.sign(7, 2)
    session = ours.read(sealed)
    assert session and (session.user, session.generation) == (7, 2)
    assert ours.read(ours.sign(7, 2)) != session, "each has a name of its own"
    assert SessionSigner(b"x" * 32, hours=12).read(sealed) is None
    monkeypatch.setattr(timed.time, "time", lambda: now + 12 * 3600 - 1)
    assert ours.read(sealed)
    monkeypatch.setattr(timed.time, "time", lambda: now + 12 * 3600 + 2)
    assert ours.read(sealed) is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "W10.x.y", "\udcff", "x" * 10_000])
def test_what_was_not_signed_is_no_session(text: str) -> None:
    assert SessionSigner(b"k" * 32, hours=1).read(text) is None


def test_a_session_with_one_character_changed_is_none() -> None:
    ours = SessionSigner(b"k" * 32, hours=1)
    sealed = ours.sign(7, 2)
    for place, character in enumerate(sealed[:-1]):  # the last one holds bits that nobody reads
        other = "A" if character != "A" else "B"
        assert ours.read(sealed[:place] + other + sealed[place + 1 :]) is None


async def test_a_password_fits_its_hash_and_nothing_else() -> None:
    hashing = Passwords(QUICK)
    hashed = await hashing.hash(PASSWORD)
    assert hashed.startswith("$argon2id$") and PASSWORD not in hashed
    assert await hashing.verify(hashed, PASSWORD)
    assert not await hashing.verify(hashed, PASSWORD + " ")
    assert not await hashing.verify("no hash at all", PASSWORD)
    assert not await hashing.verify(None, PASSWORD)


async def test_the_hash_that_unknown_names_are_checked_with_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords.secrets, "token_hex", lambda: "guessed it")
    assert not await Passwords(QUICK).verify(None, "guessed it")


async def test_an_unknown_name_takes_as_much_work_as_a_wrong_password() -> None:
    class Counting(PasswordHasher):
        checked: list[str] = []

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            self.checked.append(str(hash).rpartition("$")[0].rpartition("$")[0])
            return super().verify(hash, password)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    authenticator, accounts = guarded(Passwords(hasher))
    await accounts.add_user("ann", Role.VIEWER, hasher.hash(PASSWORD))
    for name in ("ann", "bob", "no name at all\0", ""):
        with pytest.raises(LoginFailed):
            await authenticator.log_in(name, "wrong password", "192.0.2.1")
    assert len(hasher.checked) == 4 and len(set(hasher.checked)) == 1, "with the same parameters"


async def test_hashing_is_done_beside_the_loop_and_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going, most, gate = 0, 0, threading.Event()

    class Slow(PasswordHasher):
        def hash(self, password: Any, *, salt: bytes | None = None) -> str:
            nonlocal going, most
            going += 1
            most = max(most, going)
            assert gate.wait(30)
            going -= 1
            return "hash"

    monkeypatch.setattr(passwords, "TURN_TIMEOUT", 0.01)
    hashing = Passwords(Slow())
    first = [asyncio.ensure_future(hashing.hash(PASSWORD)) for _ in range(passwords.MAX_AT_ONCE)]
    await until(lambda: going == passwords.MAX_AT_ONCE)
    with pytest.raises(ServerBusy):
        await hashing.hash(PASSWORD)
    gate.set()
    assert await asyncio.gather(*first) == ["hash"] * passwords.MAX_AT_ONCE
    assert most == passwords.MAX_AT_ONCE
    assert await hashing.hash(PASSWORD) == "hash"


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025, "not utf-8 \udcff"])
def test_a_password_nobody_should_have_is_refused_unquoted(password: str) -> None:
    with pytest.raises(BadParameter) as caught:
        checked_password(password)
    assert not password or password not in str(caught.value)
    assert checked_password("eight888") == "eight888"


@pytest.mark.parametrize("name", ["", "Ann", "ann lee", "-ann", "a" * 64, "änn", "ann\n", "a\0"])
def test_a_name_nobody_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadParameter):
        checked_name(name)
    assert checked_name("ann.lee@example.com") == "ann.lee@example.com"


def guarded(hashing: Passwords | None = None) -> tuple[Authenticator, FakeAccounts]:
    accounts = FakeAccounts()
    sessions = SessionSigner(b"k" * 32, hours=12)
    return Authenticator(accounts, sessions, hashing or Passwords(QUICK), LoginAttempts()), accounts


async def test_a_name_is_taken_as_people_type_it() -> None:
    authenticator, accounts = guarded()
    await accounts.add_user("ann", Role.OPERATOR, QUICK.hash(PASSWORD))
    sealed = await authenticator.log_in(" Ann ", PASSWORD, "192.0.2.1")
    assert await authenticator.find_by_session(sealed) == Principal("ann", Role.OPERATOR)


async def test_a_login_brings_an_old_hash_up_to_date_and_keeps_its_sessions() -> None:
    authenticator, accounts = guarded()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await accounts.add_user("ann", Role.VIEWER, old)
    with pytest.raises(LoginFailed):
        await authenticator.log_in("ann", "wrong password", "192.0.2.1")
    user = await accounts.find_user("ann")
    assert user and user.password == old
    first = await authenticator.log_in("ann", PASSWORD, "192.0.2.1")
    user = await accounts.find_user("ann")
    assert user and user.password != old and not QUICK.check_needs_rehash(user.password)
    second = await authenticator.log_in("ann", PASSWORD, "192.0.2.1")
    assert await authenticator.find_by_session(first) and await authenticator.find_by_session(second)


async def test_a_logout_ends_every_copy_of_the_session_and_no_other() -> None:
    authenticator, accounts = guarded()
    await accounts.add_user("ann", Role.VIEWER, QUICK.hash(PASSWORD))
    here, there = [await authenticator.log_in("ann", PASSWORD, "192.0.2.1") for _ in range(2)]
    await authenticator.log_out("no session")
    await authenticator.log_out(here)
    assert await authenticator.find_by_session(here) is None
    assert await authenticator.find_by_session(there)


async def test_an_unknown_token_is_refused() -> None:
    authenticator, accounts = guarded()
    token, _ = await accounts.add_token("ci", Role.VIEWER, 1)
    assert await authenticator.find_by_token(token) == Principal("ci", Role.VIEWER)
    with pytest.raises(TokenRefused):
        await authenticator.find_by_token(token + "x")


async def test_the_log_tells_who_came_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    authenticator, accounts = guarded()
    await accounts.add_user("ann", Role.VIEWER, QUICK.hash(PASSWORD))
    caplog.set_level(logging.DEBUG)
    sealed = await authenticator.log_in("ann", PASSWORD, "192.0.2.1")
    for name, password in (("ann", "mistyped horse"), (PASSWORD, PASSWORD)):
        with pytest.raises(LoginFailed):
            await authenticator.log_in(name, password, "192.0.2.1")
    assert "Login: ann from 192.0.2.1" in caplog.text
    assert "Login failed: ann from 192.0.2.1" in caplog.text
    assert "Login failed: nobody from 192.0.2.1" in caplog.text
    for secret in (PASSWORD, "mistyped", sealed, "argon2id"):
        assert secret not in caplog.text
