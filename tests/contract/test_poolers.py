"""A pooler before the database: one in session mode is as good as none, any other is refused, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub.db import open_pool, translated
from promise_pub.db_checks import require_usable
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import DatabasePooled
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, Settings
from tests.pooler import pooled
from tests.services import StartCommand


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_gives_each_transaction_another_connection_is_refused(
    database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int, mode: str, turns: int
) -> None:
    options = {"server_round_robin": turns}
    async with pooled(database, tmp_path / "p", unused_tcp_port, mode, **options) as there:
        for others in range(3):  # whose connections wait in the pooler
            async with open_pool(there, min_size=others, max_size=5) as pool:
                with pytest.raises(DatabasePooled, match="pool_mode to session"):
                    await require_usable(pool)


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_pooler_in_session_mode_holds_what_a_server_claims(
    database: DatabaseSettings, tmp_path: Path, unused_tcp_port: int, turns: int
) -> None:
    options = {"server_round_robin": turns}
    async with (
        pooled(database, tmp_path / "p", unused_tcp_port, "session", **options) as there,
        open_pool(there, max_size=4) as pool,
        open_pool(database, max_size=2) as direct,
    ):
        for _ in range(3):
            await require_usable(pool)
        async with ServerLocks(pool) as locks, ServerLocks(direct) as other:
            assert not await other.is_dead(locks.server)


async def test_a_pooler_with_one_connection_to_give_is_refused(
    database: DatabaseSettings,
    tmp_path: Path,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("promise_pub.db_checks.POOLER_TIMEOUT", 0.5)
    async with (
        pooled(database, tmp_path / "p", unused_tcp_port, "session", default_pool_size=1) as there,
        open_pool(there, max_size=4) as pool,
    ):
        with pytest.raises(DatabasePooled, match="two connections at once: increase its pool_size"):
            await require_usable(pool)


async def test_statements_that_got_mixed_up_are_told_as_a_pooler_whenever_that_is_seen(
    database: DatabaseSettings,
) -> None:
    async with open_pool(database, max_size=1) as pool, pool.acquire() as connection:
        await connection.execute("PREPARE there AS SELECT 1")
        for statement in ("PREPARE there AS SELECT 2", "EXECUTE not_there"):
            with pytest.raises(DatabasePooled), translated():
                await connection.execute(statement)


async def test_every_service_says_at_once_that_a_pooler_mixes_up_its_connections(
    database: DatabaseSettings,
    settings_for: Callable[[ConsumerSettings], Settings],
    settings_file: Callable[[Settings], Path],
    start_process: StartCommand,
    tmp_path: Path,
    unused_tcp_port: int,
) -> None:
    async with pooled(database, tmp_path / "p", unused_tcp_port, "transaction") as there:
        settings = settings_for(ConsumerSettings(host="127.0.0.1", port=1))
        through = settings_file(replace(settings, database=there))
        for service in (("schema", "--apply"), ("serve",), ("consumer",)):
            command = await start_process("-c", through, *service)
            assert await command.finish() == 1
            assert command.output.startswith("promise-pub: A connection pooler gives each transaction"), service
            assert command.output.count("\n") == 1
