"""Users, tokens and the signing key in PostgreSQL."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from promise_pub.accounts.authentication import Authenticator
from promise_pub.accounts.login_attempts import LoginAttempts
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Account, Principal, Role, User
from promise_pub.accounts.sessions import LoginSession, SessionSigner
from promise_pub.accounts.telling import AccountTelling
from promise_pub.db import ANSWER_TIMEOUT, answering, queries
from promise_pub.db_checks import Need
from promise_pub.errors import AccountExists, AccountMissing
from promise_pub.outbox import Outbox

NEEDS = (
    Need("access_users", "SELECT UPDATE"),
    Need("access_tokens", "SELECT"),
    Need("access_ended_sessions", "SELECT INSERT DELETE"),
    Need("access_keys", "SELECT INSERT"),
)
KEY_BYTES = 32
TOKEN_BYTES = 32
TOKEN_PREFIX = "ppub_"  # scanners for leaked secrets find a token by it


def _digest(token: str) -> bytes:
    """Returns a plain SHA-256, which is enough: a token is random, and too long to guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class StoredAccounts:
    """The accounts in the database of a pool. Every method raises DatabaseError, DatabaseUnavailable after a timeout."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries("accounts")

    async def add_user(self, name: str, role: Role, password: str) -> None:
        """Adds a user with a hashed password. Raises AccountExists."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            added = await self._sql.add_user(connection, name=name, role=role, password=password)
        if not added:
            raise AccountExists(f"There is already a user {name}.")

    async def list_users(self) -> list[Account]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return [_account(row) async for row in self._sql.users(connection)]

    async def change_password(self, name: str, password: str) -> None:
        """Sets a hashed password, which ends the user's sessions. Raises AccountMissing."""
        await self._change(f"user {name}", self._sql.change_password, name=name, password=password)

    async def remove_user(self, name: str) -> None:
        """Removes a user, which ends their sessions. Raises AccountMissing."""
        await self._change(f"user {name}", self._sql.remove_user, name=name)

    async def add_token(self, name: str, role: Role, days: int) -> tuple[str, datetime]:
        """Returns a new token, which is not stored and cannot be shown again, and its expiry. Raises AccountExists."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.add_token(connection, name=name, role=role, digest=_digest(token), days=days)
        if not row:
            raise AccountExists(f"There is already a token {name}. Revoke it first.")
        return token, row["expires_at"]

    async def list_tokens(self) -> list[Account]:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            return [_account(row) async for row in self._sql.tokens(connection)]

    async def revoke_token(self, name: str) -> None:
        """Removes a token. Raises AccountMissing."""
        await self._change(f"token {name}", self._sql.revoke_token, name=name)

    async def _change(self, account: str, change: Any, **values: str) -> None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            if not await change(connection, **values):
                raise AccountMissing(f"There is no {account}.")

    async def find_user(self, name: str) -> User | None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.user(connection, name=name)
        return User(**{**row, "role": Role(row["role"])}) if row else None

    async def rehash(self, user: User, password: str) -> None:
        """Replaces the hash of a user's password by a newer one, unless the password was changed meanwhile."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.rehash(connection, id=user.id, old=user.password, new=password)

    async def find_by_session(self, session: LoginSession) -> Principal | None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.user_of_session(
                connection, id=session.user, generation=session.generation, session=session.id
            )
        return _principal(row)

    async def end_session(self, session: LoginSession, until: datetime) -> None:
        """Ends a session that expires `until` then at the latest."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.end_session(connection, session=session.id, until=until)
            await self._sql.forget_ended_sessions(connection)

    async def find_by_token(self, token: str) -> Principal | None:
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            row = await self._sql.token(connection, digest=_digest(token))
        return _principal(row)

    async def signing_key(self) -> bytes:
        """Returns the key that all servers on this database share. The first call makes it."""
        async with answering(self._pool, ANSWER_TIMEOUT) as connection:
            await self._sql.offer_key(connection, name="session", key=secrets.token_bytes(KEY_BYTES))
            return bytes(await self._sql.key(connection, name="session"))


def _principal(row: asyncpg.Record | None) -> Principal | None:
    return Principal(row["name"], Role(row["role"])) if row else None


def _account(row: asyncpg.Record) -> Account:
    return Account(**{**row, "role": Role(row["role"])})


@asynccontextmanager
async def open_authenticator(pool: asyncpg.Pool, login_hours: int, outbox: Outbox) -> AsyncIterator[Authenticator]:
    """Opens the authenticator of a server. Raises DatabaseError or SchemaMissing."""
    accounts = StoredAccounts(pool)
    sessions = SessionSigner(await accounts.signing_key(), login_hours)
    telling = AccountTelling(outbox.put)
    async with telling.running():
        yield Authenticator(accounts, sessions, Passwords(), LoginAttempts(), telling)
