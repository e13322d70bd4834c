"""What accounts promise, those in PostgreSQL and the fake ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from promise_pub import db
from promise_pub.accounts import store
from promise_pub.accounts.people import Principal, Role, User
from promise_pub.accounts.sessions import LoginSession
from promise_pub.accounts.store import StoredAccounts
from promise_pub.errors import AccountExists, AccountMissing, DatabaseUnavailable
from promise_pub.settings.model import DatabaseSettings
from tests.fake_accounts import FakeAccounts

Accounts = StoredAccounts | FakeAccounts
LATER = datetime.now(UTC) + timedelta(hours=12)


@pytest.fixture(params=["stored", "fake"])
async def accounts(request: pytest.FixtureRequest) -> AsyncIterator[Accounts]:
    if request.param == "fake":
        yield FakeAccounts()
        return
    database: DatabaseSettings = request.getfixturevalue("database")
    async with db.open_pool(database, max_size=2) as pool:
        yield StoredAccounts(pool)


async def known(accounts: Accounts, name: str = "ann") -> User:
    user = await accounts.find_user(name)
    assert user
    return user


async def test_a_user_is_found_by_name_with_what_it_takes_to_log_in(accounts: Accounts) -> None:
    await accounts.add_user("ann", Role.OPERATOR, "a hash")
    user = await known(accounts)
    assert (user.name, user.role, user.password) == ("ann", Role.OPERATOR, "a hash")
    assert "a hash" not in repr(user)
    assert await accounts.find_user("bob") is None


async def test_a_name_is_given_once(accounts: Accounts) -> None:
    await accounts.add_user("ann", Role.OPERATOR, "hers")
    with pytest.raises(AccountExists):
        await accounts.add_user("ann", Role.VIEWER, "another's")
    assert (await known(accounts)).password == "hers"


async def test_users_are_listed_by_name_without_their_hashes(accounts: Accounts) -> None:
    await accounts.add_user("bob", Role.VIEWER, "h")
    await accounts.add_user("ann", Role.OPERATOR, "h")
    listed = await accounts.list_users()
    assert [(one.name, one.role, one.expires_at) for one in listed] == [
        ("ann", Role.OPERATOR, None),
        ("bob", Role.VIEWER, None),
    ]
    assert all(abs(datetime.now(UTC) - one.created_at) < timedelta(hours=1) for one in listed)


async def test_a_session_is_its_users_until_the_password_changes(accounts: Accounts) -> None:
    await accounts.add_user("ann", Role.VIEWER, "old")
    user = await known(accounts)
    session = LoginSession(user.id, user.generation, "s")
    assert await accounts.find_by_session(session) == Principal("ann", Role.VIEWER)
    await accounts.change_password("ann", "new")
    assert await accounts.find_by_session(session) is None
    changed = await known(accounts)
    assert changed.password == "new"
    assert await accounts.find_by_session(LoginSession(changed.id, changed.generation, "t"))


async def test_a_session_ends_with_its_user_though_another_gets_the_name(
    accounts: Accounts,
) -> None:
    await accounts.add_user("ann", Role.OPERATOR, "h")
    user = await known(accounts)
    await accounts.remove_user("ann")
    assert await accounts.find_user("ann") is None
    await accounts.add_user("ann", Role.OPERATOR, "h")
    assert await accounts.find_by_session(LoginSession(user.id, user.generation, "s")) is None


async def test_a_session_that_was_ended_stays_so_and_others_go_on(accounts: Accounts) -> None:
    await accounts.add_user("ann", Role.VIEWER, "h")
    user = await known(accounts)
    here, there = LoginSession(user.id, 1, "here"), LoginSession(user.id, 1, "there")
    for _ in range(2):
        await accounts.end_session(here, LATER)
    assert await accounts.find_by_session(here) is None
    assert await accounts.find_by_session(there)


async def test_a_new_hash_of_the_same_password_ends_nothing_and_undoes_no_change(
    accounts: Accounts,
) -> None:
    await accounts.add_user("ann", Role.VIEWER, "old")
    before = await known(accounts)
    await accounts.rehash(before, "newer parameters")
    user = await known(accounts)
    assert (user.password, user.generation) == ("newer parameters", before.generation)
    await accounts.change_password("ann", "another")
    await accounts.rehash(user, "of the one before")
    assert (await known(accounts)).password == "another"


async def test_a_token_is_a_visitor_until_it_is_revoked(accounts: Accounts) -> None:
    token, expires_at = await accounts.add_token("ci", Role.OPERATOR, 30)
    other, _ = await accounts.add_token("cron", Role.VIEWER, 1)
    assert token != other and len(token) >= 40
    assert await accounts.find_by_token(token) == Principal("ci", Role.OPERATOR)
    assert await accounts.find_by_token(other) == Principal("cron", Role.VIEWER)
    assert await accounts.find_by_token(token[:-1]) is None
    assert await accounts.find_by_token("") is None
    listed = await accounts.list_tokens()
    assert [(one.name, one.expires_at) for one in listed][0] == ("ci", expires_at)
    assert timedelta(days=29) < expires_at - datetime.now(UTC) < timedelta(days=31)
    await accounts.revoke_token("ci")
    assert await accounts.find_by_token(token) is None
    assert [one.name for one in await accounts.list_tokens()] == ["cron"]


async def test_a_token_lets_nobody_in_once_it_expired(accounts: Accounts) -> None:
    token, _ = await accounts.add_token("ci", Role.OPERATOR, 0)
    assert await accounts.find_by_token(token) is None


async def test_a_tokens_name_is_given_once(accounts: Accounts) -> None:
    token, _ = await accounts.add_token("ci", Role.VIEWER, 1)
    with pytest.raises(AccountExists):
        await accounts.add_token("ci", Role.OPERATOR, 1)
    assert await accounts.find_by_token(token) == Principal("ci", Role.VIEWER)


async def test_who_is_not_there_cannot_be_changed(accounts: Accounts) -> None:
    for change in (
        accounts.change_password("nobody", "h"),
        accounts.remove_user("nobody"),
        accounts.revoke_token("nothing"),
    ):
        with pytest.raises(AccountMissing):
            await change


async def test_all_servers_on_a_database_sign_with_one_key(database: DatabaseSettings) -> None:
    async with db.open_pool(database, max_size=4) as pool:
        keys = await asyncio.gather(*(StoredAccounts(pool).signing_key() for _ in range(4)))
        assert len(set(keys)) == 1 and len(keys[0]) == 32
        assert await StoredAccounts(pool).signing_key() == keys[0]


async def test_a_database_that_does_not_answer_counts_as_away(
    database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.open_pool(database) as pool, db.open_pool(database) as other:
        accounts = StoredAccounts(pool)
        async with other.acquire() as holding, holding.transaction():
            await holding.execute("LOCK TABLE access_users")
            with monkeypatch.context() as impatient, pytest.raises(DatabaseUnavailable):
                impatient.setattr(store, "ANSWER_TIMEOUT", 0.2)
                async with asyncio.timeout(20):  # the connection's own limit is longer
                    await accounts.find_by_session(LoginSession(1, 1, "s"))
        assert await accounts.find_by_session(LoginSession(1, 1, "s")) is None


async def test_the_database_holds_no_token_and_forgets_what_has_expired(
    database: DatabaseSettings,
) -> None:
    async with db.open_pool(database, max_size=2) as pool:
        accounts = StoredAccounts(pool)
        token, _ = await accounts.add_token("ci", Role.VIEWER, 1)
        stored = await pool.fetchrow("SELECT * FROM access_tokens")
        assert stored and len(stored["digest"]) == 32
        assert not [value for value in stored.values() if token[-20:] in str(value)]
        await accounts.end_session(LoginSession(1, 1, "old"), datetime.now(UTC) - timedelta(seconds=1))
        await accounts.end_session(LoginSession(1, 1, "new"), LATER)
        assert [row["session"] for row in await pool.fetch("SELECT * FROM access_ended_sessions")] == ["new"]
