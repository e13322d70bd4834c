"""Passwords and their hashes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from argon2 import PasswordHasher

from promise_pub.accounts import passwords
from promise_pub.accounts.passwords import Passwords, checked_password
from promise_pub.errors import (
    BadParameter,
    ServerBusy,
)
from tests.fake_accounts import QUICK
from tests.fakes import until

PASSWORD = "correct horse"


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
