"""Login sessions as signed text, the value of the session cookie."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer


class LoginSession(NamedTuple):
    """A login: the user's id, the generation of their password, and a random id of its own."""

    user: int
    generation: int
    id: str


class SessionSigner:
    """A signer of sessions, which reads those that were signed with the same key in the last `hours`."""

    def __init__(self, key: bytes, hours: int) -> None:
        self.seconds = hours * 3600
        self._signer = URLSafeTimedSerializer(
            key,
            salt="promise-pub session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, user: int, generation: int) -> str:
        """Returns a new session as signed text."""
        return str(self._signer.dumps(LoginSession(user, generation, secrets.token_urlsafe(12))))

    def read(self, text: str) -> LoginSession | None:
        """Returns the session, or None when the text was not signed with this key or has expired."""
        try:
            return LoginSession(*self._signer.loads(text, max_age=self.seconds))
        except (BadData, UnicodeEncodeError):  # a cookie may hold any bytes
            return None

    def last_expiry(self) -> datetime:
        """Returns the time at which every session signed until now will have expired."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)
