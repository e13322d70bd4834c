"""Who is asking: logins, sessions and tokens, judged by what the accounts say now."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from promise_pub.accounts.passwords import LONGEST, Passwords
from promise_pub.accounts.people import User, Visitor, is_name
from promise_pub.accounts.sessions import Session, Sessions
from promise_pub.accounts.tries import Tries
from promise_pub.errors import LoginFailed, TokenRefused

log = logging.getLogger(__name__)


class Accounts(Protocol):
    """What the guard needs to know. Each raises DatabaseError when nobody can tell."""

    async def user(self, name: str) -> User | None: ...
    async def rehash(self, user: User, password: str) -> None: ...
    async def visitor_of(self, session: Session) -> Visitor | None: ...
    async def end(self, session: Session, until: datetime) -> None: ...
    async def visitor_with(self, token: str) -> Visitor | None: ...


class Guard:
    """Lets in whom the accounts know, and nobody while the accounts cannot be asked."""

    def __init__(self, accounts: Accounts, sessions: Sessions, passwords: Passwords, tries: Tries) -> None:
        self.login_seconds = sessions.seconds
        self._accounts = accounts
        self._sessions = sessions
        self._passwords = passwords
        self._tries = tries

    async def log_in(self, name: str, password: str, address: str) -> str:
        """A new session, sealed. Raises LoginFailed, TooManyTries, ServerBusy or DatabaseError."""
        name = name.strip().lower()
        with self._tries.one(name, address):
            user = await self._accounts.user(name) if is_name(name) else None
            hashed = user.password if user else None
            fits = await self._passwords.fit(hashed, password[: LONGEST + 1])
            if user is None or not fits:
                # What was typed as a name may be a password: only a name that is one is logged.
                log.warning("Login failed: %s from %s", user.name if user else "nobody", address)
                raise LoginFailed
            await self._refresh(user, password)
        log.info("Login: %s from %s", user.name, address)
        return self._sessions.seal(user.id, user.generation)

    async def _refresh(self, user: User, password: str) -> None:
        if self._passwords.is_outdated(user.password):
            await self._accounts.rehash(user, await self._passwords.hash(password))

    async def by_session(self, sealed: str) -> Visitor | None:
        """Whose session it is, if it is one still."""
        session = self._sessions.open(sealed)
        return await self._accounts.visitor_of(session) if session else None

    async def by_token(self, token: str) -> Visitor:
        """Whose token it is. Raises TokenRefused."""
        if visitor := await self._accounts.visitor_with(token):
            return visitor
        raise TokenRefused

    async def log_out(self, sealed: str) -> None:
        """Ends a session for everybody who has a copy of it."""
        if session := self._sessions.open(sealed):
            await self._accounts.end(session, self._sessions.longest())
