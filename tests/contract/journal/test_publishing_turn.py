"""One server at a time publishes own events, and the next one goes on where it ended, however it ended."""

from __future__ import annotations

import asyncpg
import pytest

from promise_pub.errors import DatabaseError
from promise_pub.features.journal.store import StoredJournal

_HOLDER = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_one_has_the_turn_and_the_next_goes_on_where_it_ended(journal: StoredJournal) -> None:
    async with journal.publishing_turn() as position:
        assert position == 0
        async with journal.publishing_turn() as other:
            assert other is None
        await journal.move_published(7)
    async with journal.publishing_turn() as position:
        assert position == 7


async def test_a_turn_ends_with_an_error(journal: StoredJournal) -> None:
    with pytest.raises(ZeroDivisionError):
        async with journal.publishing_turn():
            raise ZeroDivisionError
    async with journal.publishing_turn() as position:
        assert position == 0


async def test_a_turn_ends_with_its_connection(journal: StoredJournal, pool: asyncpg.Pool) -> None:
    with pytest.raises(DatabaseError):
        async with journal.publishing_turn():
            await pool.execute(_HOLDER)
            async with journal.publishing_turn() as position:
                assert position == 0


async def test_others_append_meanwhile(journal: StoredJournal, pool: asyncpg.Pool) -> None:
    async with journal.publishing_turn():
        await pool.execute("UPDATE journal_head SET seq = seq + 1")
