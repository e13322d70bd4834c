"""The journal in PostgreSQL when it is away, does not answer, lacks tables or rights: an error that says so, in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from promise_pub import db
from promise_pub.db_checks import Need, require_needs
from promise_pub.errors import DatabaseError, DatabaseUnavailable, RightsMissing, SchemaMissing
from promise_pub.features.journal import following, store
from promise_pub.features.journal.errors import EventNotFound
from promise_pub.features.journal.ports import Appended, Selection
from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings
from tests.journal.new_events import END_OTHERS, an_event
from tests.roles import role_with

NOW = datetime.now(UTC)
READING: dict[str, Callable[[StoredJournal], Awaitable[Any]]] = {
    "head": lambda journal: journal.head(),
    "read": lambda journal: journal.read(Selection(since=NOW, until=NOW)),
    "since": lambda journal: journal.read(Selection(after=0, since=NOW)),
    "get": lambda journal: journal.get(1),
    "bounds": lambda journal: journal.bounds(),
    "after": lambda journal: journal.after(0, 10),
    "arrival": lambda journal: journal.first_since(NOW),
    "marks": lambda journal: journal.marks(NOW, NOW, 10),
}
QUESTIONS = {
    **READING,
    "append": lambda journal: journal.append([an_event()]),
    "number": lambda journal: journal.append_and_number([an_event()]),
    "drain": lambda journal: journal.drain_outbox("p"),
    "move": lambda journal: journal.move_published(1),
    "keep": lambda journal: journal.keep_from("reader", 0),
}


async def test_without_a_database_every_question_says_so(
    database: DatabaseSettings, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    """The way to it is another name of a folder, which can be cut and mended."""
    way = tmp_path / "d"  # a socket's path must not be long
    way.symlink_to(database.host)
    async with db.open_pool(replace(database, host=str(way)), max_size=1) as other:
        journal = StoredJournal(other)
        for ask in QUESTIONS.values():
            await journal.head()
            way.unlink()
            await pool.execute(END_OTHERS)
            for _ in "on a connection that was lost", "without any":
                with pytest.raises(DatabaseUnavailable):
                    await ask(journal)
            way.symlink_to(database.host)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_without_an_answer_in_time_the_database_counts_as_away(
    journal: StoredJournal, database: DatabaseSettings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.open_pool(database) as other:
        async with other.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE journal_events, journal_head, journal_readers, outbox")
            with monkeypatch.context() as impatient, pytest.raises(DatabaseUnavailable):
                for module, limit in (
                    (store, "ANSWER_TIMEOUT"),
                    (store, "COMMAND_TIMEOUT"),
                    (following, "ANSWER_TIMEOUT"),
                ):
                    impatient.setattr(module, limit, 0.2)
                async with asyncio.timeout(6):
                    await QUESTIONS[name](journal)
        assert (await journal.head()).seq == 0


@pytest.mark.parametrize("table", ["journal_events", "journal_head", "outbox"])
async def test_a_scheme_from_before_is_noticed(pool: asyncpg.Pool, journal: StoredJournal, table: str) -> None:
    await pool.execute(f"DROP TABLE {table}")
    with pytest.raises(SchemaMissing, match=f"{table}.*--apply"):
        await journal.append([an_event()])
        await journal.drain_outbox("p")
    await db.apply_scheme(pool)
    assert await journal.append([an_event("1")]) == Appended(1, 0)


async def test_without_a_head_nothing_is_appended_and_the_cure_is_told(
    pool: asyncpg.Pool, journal: StoredJournal
) -> None:
    await pool.execute("DELETE FROM journal_head")
    for ask in (journal.head, lambda: journal.append([an_event()])):
        with pytest.raises(SchemaMissing, match="journal_head is empty.*--apply"):
            await ask()
    await db.apply_scheme(pool)
    assert (await journal.head()).seq == 0


TO_READ = tuple(Need(need.table, "SELECT") for need in store.NEEDS)


async def test_the_rights_that_are_named_are_all_it_takes(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings
) -> None:
    await journal.append([an_event()])
    async with role_with(pool, database, store.NEEDS) as lent, db.open_pool(lent, max_size=1) as theirs:
        await require_needs(theirs, store.NEEDS)
        for ask in QUESTIONS.values():
            await ask(StoredJournal(theirs))
    async with role_with(pool, database, TO_READ) as lent, db.open_pool(lent, max_size=1) as theirs:
        for ask in READING.values():
            try:
                await ask(StoredJournal(theirs))
            except EventNotFound:
                pass
        with pytest.raises(DatabaseError):
            await StoredJournal(theirs).append([an_event()])
        with pytest.raises(RightsMissing):
            await require_needs(theirs, store.NEEDS)


async def test_whoever_may_insert_into_the_outbox_tells_events(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings
) -> None:
    needs = (store.Need("outbox", "INSERT"),)
    async with role_with(pool, database, needs) as lent, db.open_pool(lent, max_size=1) as theirs:
        await theirs.execute("INSERT INTO outbox (message_id, at, topic, body) VALUES ('1', now(), 'a', '{}')")
    assert await journal.drain_outbox("p") == 1
