"""Authentication of requests: logins, sessions and tokens, checked against the accounts as they are now."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.lookups import Lookups
from promise_pub.accounts.passwords import MAX_LENGTH, Passwords
from promise_pub.accounts.people import Principal, User, is_name
from promise_pub.accounts.sessions import LoginSession, SessionSigner
from promise_pub.accounts.telling import AccountTelling
from promise_pub.errors import LoginFailed, TokenRefused, TooManyTries

log = logging.getLogger(__name__)


class Accounts(Protocol):
    """The part of the accounts that authentication needs. Each method raises DatabaseError where there is no answer."""

    async def find_user(self, name: str) -> User | None: ...
    async def rehash(self, user: User, password: str) -> None: ...
    async def find_by_session(self, session: LoginSession) -> Principal | None: ...
    async def end_session(self, session: LoginSession, until: datetime) -> None: ...
    async def find_by_token(self, token: str) -> Principal | None: ...


class Authenticator:
    """The check of logins, sessions and tokens. While the accounts cannot be read, nobody gets in."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: SessionSigner,
        passwords: Passwords,
        attempts: LoginAttempts,
        telling: AccountTelling | None = None,
    ) -> None:
        self.login_seconds = sessions.seconds
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._attempts = attempts
        self._telling = telling
        self._lookups = Lookups()

    async def log_in(self, name: str, password: str, address: str) -> str:
        """Returns a new session, signed, once the login is told. Raises LoginFailed, TooManyTries, ServerBusy or
        DatabaseError."""
        try:
            user = await self._verify(name.strip().lower(), password, address)
        except (LoginFailed, TooManyTries) as error:
            if self._telling:
                self._telling.note_failure(error.code)
            raise
        if self._telling:
            await self._telling.tell_login(user.name, user.role)
        log.info("Login: %s from %s", user.name, address)
        return self._sessions.sign(user.id, user.generation)

    async def _verify(self, name: str, password: str, address: str) -> User:
        with self._attempts.count(name, address):
            user = await self._accounts.find_user(name) if is_name(name) else None
            matches = await self._passwords.verify(user.password if user else None, password[: MAX_LENGTH + 1])
            if user is None or not matches:
                # The text typed as a name may be a password: only the name of a user is logged.
                log.warning("Login failed: %s from %s", user.name if user else "nobody", address)
                raise LoginFailed
            if self._passwords.is_outdated(user.password):
                await self._accounts.rehash(user, await self._passwords.hash(password))
        return user

    async def find_by_session(self, signed: str, client: str = "") -> Principal | None:
        """Returns the user of a session; None when it is invalid, has expired or was ended."""
        session = self._sessions.read(signed)
        if session is None:
            return None
        return await self._lookups.find(session, lambda: self._accounts.find_by_session(session), client)

    async def find_by_token(self, token: str, client: str = "") -> Principal:
        """Returns the owner of a token. Raises TokenRefused, or ServerBusy where the client tries many."""
        if principal := await self._lookups.find(token, lambda: self._accounts.find_by_token(token), client):
            if self._telling:
                self._telling.note_token(principal)
            return principal
        raise TokenRefused

    async def log_out(self, signed: str) -> None:
        """Ends a session in every copy of its cookie."""
        if session := self._sessions.read(signed):
            await self._accounts.end_session(session, self._sessions.last_expiry())
