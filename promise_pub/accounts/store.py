"""Users, tokens and the signing key in PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from promise_pub.accounts.guard import Guard
from promise_pub.accounts.passwords import Passwords
from promise_pub.accounts.people import Account, Role, User, Visitor
from promise_pub.accounts.sessions import Session, Sessions
from promise_pub.accounts.tries import Tries
from promise_pub.db import queries, translated
from promise_pub.db_checks import Need
from promise_pub.errors import AccountExists, AccountMissing

NEEDS = (
    Need("access_users", "SELECT UPDATE"),
    Need("access_tokens", "SELECT"),
    Need("access_ended_sessions", "SELECT INSERT DELETE"),
    Need("access_keys", "SELECT INSERT"),
)
ANSWER_TIMEOUT = 8.0  # seconds; each query finds one row by its key, and every request waits for one
KEY_BYTES = 32
TOKEN_BYTES = 32
TOKEN_MARK = "ppub_"  # a token that leaks is found by those who search for such


def _digest(token: str) -> bytes:
    """Plain SHA-256 is enough: a token is random, and longer than anybody can guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class StoredAccounts:
    """The accounts on a pool of connections. Every method raises DatabaseUnavailable where there is no answer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = queries("accounts")

    async def add_user(self, name: str, role: Role, password: str) -> None:
        """A new user with a hashed password. Raises AccountExists."""
        async with self._answering():
            added = await self._sql.add_user(self._pool, name=name, role=role, password=password)
        if not added:
            raise AccountExists(f"A user {name} already exists.")

    async def users(self) -> list[Account]:
        async with self._answering():
            return [_account(row) async for row in self._sql.users(self._pool)]

    async def change_password(self, name: str, password: str) -> None:
        """Ends the user's sessions as well. Raises AccountMissing."""
        async with self._answering():
            changed = await self._sql.change_password(self._pool, name=name, password=password)
        if not changed:
            raise AccountMissing(f"There is no user {name}.")

    async def remove_user(self, name: str) -> None:
        """Ends the user's sessions as well. Raises AccountMissing."""
        async with self._answering():
            removed = await self._sql.remove_user(self._pool, name=name)
        if not removed:
            raise AccountMissing(f"There is no user {name}.")

    async def add_token(self, name: str, role: Role, days: int) -> tuple[str, datetime]:
        """A new token, which nobody can tell again, and when it expires. Raises AccountExists."""
        token = TOKEN_MARK + secrets.token_urlsafe(TOKEN_BYTES)
        async with self._answering():
            row = await self._sql.add_token(self._pool, name=name, role=role, digest=_digest(token), days=days)
        if not row:
            raise AccountExists(f"A token {name} already exists: revoke it first.")
        return token, row["expires_at"]

    async def tokens(self) -> list[Account]:
        async with self._answering():
            return [_account(row) async for row in self._sql.tokens(self._pool)]

    async def revoke_token(self, name: str) -> None:
        """Raises AccountMissing."""
        async with self._answering():
            revoked = await self._sql.revoke_token(self._pool, name=name)
        if not revoked:
            raise AccountMissing(f"There is no token {name}.")

    async def user(self, name: str) -> User | None:
        async with self._answering():
            row = await self._sql.user(self._pool, name=name)
        return User(**{**row, "role": Role(row["role"])}) if row else None

    async def rehash(self, user: User, password: str) -> None:
        async with self._answering():
            await self._sql.rehash(self._pool, id=user.id, old=user.password, new=password)

    async def visitor_of(self, session: Session) -> Visitor | None:
        async with self._answering():
            row = await self._sql.user_of_session(
                self._pool, id=session.user, generation=session.generation, session=session.id
            )
        return _visitor(row)

    async def end(self, session: Session, until: datetime) -> None:
        async with self._answering():
            await self._sql.end_session(self._pool, session=session.id, until=until)
            await self._sql.forget_ended_sessions(self._pool)

    async def visitor_with(self, token: str) -> Visitor | None:
        async with self._answering():
            row = await self._sql.token(self._pool, digest=_digest(token))
        return _visitor(row)

    async def signing_key(self) -> bytes:
        """The key of all servers on this database: the first that asked made it."""
        async with self._answering():
            await self._sql.offer_key(self._pool, name="session", key=secrets.token_bytes(KEY_BYTES))
            return bytes(await self._sql.key(self._pool, name="session"))

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """A connection that was lost without a word is not waited for, nor used again."""
        with translated():
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    yield
            except TimeoutError:
                await self._pool.expire_connections()
                raise


def _visitor(row: asyncpg.Record | None) -> Visitor | None:
    return Visitor(row["name"], Role(row["role"])) if row else None


def _account(row: asyncpg.Record) -> Account:
    return Account(**{**row, "role": Role(row["role"])})


async def open_guard(pool: asyncpg.Pool, login_hours: int) -> Guard:
    """The guard of a server. Raises DatabaseError or SchemaMissing."""
    accounts = StoredAccounts(pool)
    sessions = Sessions(await accounts.signing_key(), login_hours)
    return Guard(accounts, sessions, Passwords(), Tries())
