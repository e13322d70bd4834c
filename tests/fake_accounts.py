"""The accounts in memory; they meet the contract of the stored ones (tests/contract/test_accounts.py)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from argon2 import PasswordHasher

from promise_pub.accounts.people import Account, Principal, Role, User
from promise_pub.accounts.sessions import LoginSession
from promise_pub.errors import AccountExists, AccountMissing, DatabaseError

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes that take no time, and protect nobody."""


class FakeAccounts:
    def __init__(self) -> None:
        self.away: DatabaseError | None = None
        """What every question raises while it is set."""
        self._users: dict[str, tuple[User, datetime]] = {}
        self._tokens: dict[str, tuple[str, Account]] = {}
        self._ended: set[str] = set()
        self._ids: Iterator[int] = count(1)

    def _ask(self) -> None:
        if self.away:
            raise self.away

    async def add_user(self, name: str, role: Role, password: str) -> None:
        self._ask()
        if name in self._users:
            raise AccountExists
        self._users[name] = User(next(self._ids), name, role, 1, password), datetime.now(UTC)

    async def list_users(self) -> list[Account]:
        self._ask()
        rows = sorted(self._users.values(), key=lambda row: row[0].name)
        return [Account(user.name, user.role, since) for user, since in rows]

    async def change_password(self, name: str, password: str) -> None:
        self._ask()
        if name not in self._users:
            raise AccountMissing
        user, since = self._users[name]
        self._users[name] = (
            replace(user, password=password, generation=user.generation + 1),
            since,
        )

    async def remove_user(self, name: str) -> None:
        self._ask()
        if not self._users.pop(name, None):
            raise AccountMissing

    async def add_token(self, name: str, role: Role, days: int) -> tuple[str, datetime]:
        self._ask()
        if name in self._tokens:
            raise AccountExists
        now = datetime.now(UTC)
        token, expires_at = secrets.token_urlsafe(), now + timedelta(days=days)
        self._tokens[name] = token, Account(name, role, now, expires_at)
        return token, expires_at

    async def list_tokens(self) -> list[Account]:
        self._ask()
        return sorted(account for _, account in self._tokens.values())

    async def revoke_token(self, name: str) -> None:
        self._ask()
        if not self._tokens.pop(name, None):
            raise AccountMissing

    async def find_user(self, name: str) -> User | None:
        self._ask()
        return self._users[name][0] if name in self._users else None

    async def rehash(self, user: User, password: str) -> None:
        self._ask()
        now, since = self._users[user.name]
        if now.password == user.password:
            self._users[user.name] = replace(now, password=password), since

    async def find_by_session(self, session: LoginSession) -> Principal | None:
        self._ask()
        users = [user for user, _ in self._users.values()]
        whose = [user for user in users if (user.id, user.generation) == (session.user, session.generation)]
        return Principal(whose[0].name, whose[0].role) if whose and session.id not in self._ended else None

    async def end_session(self, session: LoginSession, until: datetime) -> None:
        self._ask()
        self._ended.add(session.id)

    async def find_by_token(self, token: str) -> Principal | None:
        self._ask()
        now = datetime.now(UTC)
        return next(
            (
                Principal(account.name, account.role)
                for known, account in self._tokens.values()
                if known == token and account.expires_at and account.expires_at > now
            ),
            None,
        )
