"""Passwords as argon2 hashes, made and verified in a thread, few at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from promise_pub.errors import BadParameter, ServerBusy

MIN_LENGTH = 8  # characters
MAX_LENGTH = 1024  # characters; hashing more would only cost time
MAX_AT_ONCE = 2  # hashes, of 64 MiB each
TURN_TIMEOUT = 10.0  # seconds to wait until fewer are being hashed

T = TypeVar("T")


def checked_password(text: str) -> str:
    """Returns a new password. Raises BadParameter, which does not quote it."""
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise BadParameter(f"A password must have {MIN_LENGTH} to {MAX_LENGTH} characters.")
    try:
        text.encode()
    except UnicodeEncodeError:  # standard input held bytes that are not UTF-8
        raise BadParameter("A password must be UTF-8 text.") from None
    return text


class Passwords:
    """The hashing and verification of passwords. Raises ServerBusy when too many wait for that at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._placeholder: str | None = None

    async def hash(self, password: str) -> str:
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Returns True if the password has this hash. Without a hash, for an unknown name, False takes as long."""
        return await self._in_turn(lambda: self._verify(hashed, password))

    def is_outdated(self, hashed: str) -> bool:
        """Returns True if new hashes are made with other parameters."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, hashed: str | None, password: str) -> bool:
        if self._placeholder is None:
            self._placeholder = self._hasher.hash(secrets.token_hex())
        try:
            return self._hasher.verify(hashed or self._placeholder, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError:
            raise ServerBusy("Too many people are logging in at once. Try again soon.") from None
        try:
            return await asyncio.to_thread(work)
        finally:
            self._turns.release()
