"""Stored statistics when the database is away, does not answer, lacks tables or rights: an error that says so, in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from promise_pub import db
from promise_pub.db_checks import Need, require_needs
from promise_pub.errors import DatabaseError, DatabaseUnavailable, SchemaMissing
from promise_pub.features.journal import store as journal_store
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats import registry
from promise_pub.features.stats import store as counts
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.records import Cell, CellKey, Changes, Registered
from promise_pub.features.stats.registry import Carried
from promise_pub.features.stats.store import StatsStore
from promise_pub.features.stats.versions import Change
from promise_pub.settings.model import DatabaseSettings
from tests.roles import role_with
from tests.stats.keeping import Topics, Volume, append, cells_of, counting, expected_topics, wait_until_counted

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LAYOUT = define(Topics).layout
ONE = Registered(id=1, layout=LAYOUT, counted_from=1, position=0)


async def count(store: StatsStore) -> None:
    async with store.counting() as turn:
        await turn.keys_of([(1, 60, NOW)])
        await turn.add(Changes(cells={CellKey(1, 60, NOW, "a", 0): Cell(1)}))


QUESTIONS: dict[str, Callable[[StatsStore], Awaitable[Any]]] = {
    "begin": lambda store: store.begin(LAYOUT, 0, shown=True, counted_from=1),
    "carry": lambda store: store.begin(LAYOUT, 0, shown=False, counted_from=1, carried=Carried(1, NOW)),
    "list": lambda store: store.list(),
    "change": lambda store: store.change(Change(1, "going", None, LAYOUT)),
    "count": count,
    "show": lambda store: store.show(ONE),
    "skip": lambda store: store.skip(ONE, 5, "why"),
    "sweep": lambda store: store.sweep_some([ONE], {60: NOW}),
    "delete": lambda store: store.delete_some(99),
    "rebuild": lambda store: store.rebuild("topics"),
    "forget": lambda store: store.forget("topics"),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_without_an_answer_in_time_the_database_counts_as_away(
    store: StatsStore, database: DatabaseSettings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.begin(LAYOUT, 0, shown=True, counted_from=1)
    tables = ", ".join(need.table for need in registry.NEEDS)
    async with db.open_pool(database) as other, other.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {tables}")
        for limit in ("ANSWER_TIMEOUT", "COMMAND_TIMEOUT", "CARRY_TIMEOUT"):
            monkeypatch.setattr(registry, limit, 0.2)
        monkeypatch.setattr(counts, "COMMAND_TIMEOUT", 0.2)
        with pytest.raises(DatabaseUnavailable):
            async with asyncio.timeout(6):
                await QUESTIONS[name](store)


async def test_the_rights_that_are_named_are_all_it_takes(
    pool: asyncpg.Pool, journal: StoredJournal, database: DatabaseSettings
) -> None:
    needs = (*registry.NEEDS, *journal_store.NEEDS)
    await append(journal, 50)
    async with role_with(pool, database, needs) as lent, db.open_pool(lent, max_size=3) as theirs:
        await require_needs(theirs, registry.NEEDS)
        async with counting(theirs, Topics, Volume):
            await wait_until_counted(pool, {"topics", "volume"})
        assert await cells_of(pool, "topics") == await expected_topics(journal)
        for ask in QUESTIONS.values():
            await ask(StatsStore(theirs))
    to_show = tuple(Need(need.table, "SELECT") for need in registry.NEEDS)
    assert to_show == registry.NEEDS_TO_SHOW
    async with role_with(pool, database, to_show) as lent, db.open_pool(lent, max_size=1) as theirs:
        await StatsStore(theirs).list()
        with pytest.raises(DatabaseError):
            await count(StatsStore(theirs))


@pytest.mark.parametrize("need", registry.NEEDS, ids=lambda need: need.table)
async def test_a_scheme_from_before_is_noticed(pool: asyncpg.Pool, store: StatsStore, need: Need) -> None:
    await pool.execute(f"DROP TABLE {need.table} CASCADE")
    with pytest.raises(SchemaMissing, match=f"{need.table}.*--apply"):
        await require_needs(pool, registry.NEEDS)
    await db.apply_scheme(pool)
    await require_needs(pool, registry.NEEDS)
    await store.begin(LAYOUT, 0, shown=True, counted_from=1)
