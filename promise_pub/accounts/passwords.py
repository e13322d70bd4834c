"""Passwords as argon2 hashes, made and checked in a thread, few at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from promise_pub.errors import BadParameter, ServerBusy

SHORTEST = 8  # characters
LONGEST = 1024  # characters; more is no password, but work for us
AT_ONCE = 2  # hashes, of 64 MiB each
TURN_TIMEOUT = 10.0  # seconds to wait for one's turn

T = TypeVar("T")


def checked_password(text: str) -> str:
    """A new password. Raises BadParameter, which does not quote it."""
    if not SHORTEST <= len(text) <= LONGEST:
        raise BadParameter(f"a password has {SHORTEST} to {LONGEST} characters")
    try:
        text.encode()
    except UnicodeEncodeError:  # what a pipe held was no UTF-8
        raise BadParameter("a password is UTF-8 text") from None
    return text


class Passwords:
    """Hashes passwords, and checks them. Raises ServerBusy when too many want that at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def fit(self, hashed: str | None, password: str) -> bool:
        """Whether a password is the hashed one. Without one, for a name nobody has, it takes as long to say no."""
        return await self._in_turn(lambda: self._fits(hashed, password))

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(hashed)

    def _fits(self, hashed: str | None, password: str) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash(secrets.token_hex())
        try:
            return self._hasher.verify(hashed or self._nobody, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError:
            raise ServerBusy("Too many logins at once: try again soon.") from None
        try:
            return await asyncio.to_thread(work)
        finally:
            self._turns.release()
