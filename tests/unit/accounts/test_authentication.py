"""Logins, sessions and tokens."""

from __future__ import annotations

import logging

import pytest
from argon2 import PasswordHasher

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Principal, Role
from promise_pub.accounts.sessions import SessionSigner
from promise_pub.errors import (
    LoginFailed,
    TokenRefused,
)
from tests.fake_accounts import QUICK, FakeAccounts

PASSWORD = "correct horse"


def guarded(hashing: Passwords | None = None) -> tuple[Authenticator, FakeAccounts]:
    accounts = FakeAccounts()
    sessions = SessionSigner(b"k" * 32, hours=12)
    return Authenticator(accounts, sessions, hashing or Passwords(QUICK), LoginAttempts()), accounts


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
