"""Sessions as signed text: what a cookie holds of them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer


class Session(NamedTuple):
    """Somebody's login: whose, under which of their passwords, and a name of its own."""

    user: int
    generation: int
    id: str


class Sessions:
    """Signs sessions, and reads what it has signed, for so many hours after it did."""

    def __init__(self, key: bytes, hours: int) -> None:
        self.seconds = hours * 3600
        self._signer = URLSafeTimedSerializer(
            key,
            salt="promise-pub session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def seal(self, user: int, generation: int) -> str:
        """A new session as text."""
        return str(self._signer.dumps(Session(user, generation, secrets.token_urlsafe(12))))

    def open(self, text: str) -> Session | None:
        """The session, or None for what was not signed here, or expired."""
        try:
            return Session(*self._signer.loads(text, max_age=self.seconds))
        except (BadData, UnicodeEncodeError):  # a cookie may hold any bytes
            return None

    def longest(self) -> datetime:
        """When every session there is now will have expired."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)
