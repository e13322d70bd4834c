"""`promise-pub stats` as a process: lists, shows, watches, rebuilds, forgets, and counts until it is stopped."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.report import LIST_COLUMNS
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import PATIENCE, Command, Here, configured, run, table
from tests.journal.fake_reader import a_new_event
from tests.services import StartCommand
from tests.stats.tables import DAY, a_layout, add_counts, add_statistic, key

NOW = start_of(datetime.now(UTC), 86_400)


async def fill(pool: asyncpg.Pool) -> int:
    statistic = await add_statistic(pool, a_layout(), position=3, left_out=1)
    rows = [(NOW - n * DAY, key("completed", verdict), n + 1) for n in range(60) for verdict in ("kept", "\x1b=1")]
    await add_counts(pool, statistic, 86_400, rows)
    return statistic


async def test_statistics_are_listed_and_shown(command: Command, pool: asyncpg.Pool) -> None:
    assert (await command("stats")).out == "No statistics yet. A server counts them, or promise-pub stats keep.\n"
    await fill(pool)
    listed, whole, rows, shown, told, cells, drawn = await asyncio.gather(
        command("stats"),
        command("stats", "--format", "json"),
        command("stats", "--format", "csv"),
        command("stats", "runs", "--interval", "1d", "--key", "verdict:kept"),
        command("stats", "runs", "--interval", "1d", "--since", "10d", "--format", "json", "--limit", "500"),
        command("stats", "runs", "--interval", "1d", "--top", "1", "--limit", "4", "--format", "csv"),
        command("stats", "runs", "--interval", "1d", "--format", "svg"),
    )
    assert {said.code for said in (listed, whole, rows, shown, told, cells, drawn)} == {0}
    assert "runs" in listed.out and "1h 1d" in listed.out and "up to date" in listed.out
    assert json.loads(whole.out)[0]["left_out"] == 1 and table(rows.out)[0] == [*LIST_COLUMNS]
    lines = shown.out.splitlines()
    assert lines[0] == "runs: Runs that ended, by their verdict." and lines[1].startswith("1 event left out")
    assert f"{NOW:%Y-%m-%d}" in lines[-1] and "kept" in lines[-1] and len(lines) == 3 + 50
    assert lines[-1].count("█") < lines[3].count("█")
    found = json.loads(told.out)
    assert len(found["rows"]) == 22 == found["total"] and found["rows"][-1]["start"] == f"{NOW:%Y-%m-%d}T00:00:00Z"
    header, *some = table(cells.out)
    assert header == ["start", "end", "state", "verdict", "count"] and len(some) == 4
    assert "\x1b" not in shown.out + cells.out + drawn.out and ["other", "other"] in [row[2:4] for row in some]
    ElementTree.fromstring(drawn.out)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("runs", "--interval", "2h"), "--interval must be one of 1h, 1d"),
        (("runs", "--since", "x"), "--since must be"),
        (("runs", "--since", "1h", "--until", "2h"), "--since must be before --until"),
        (("runs", "--key", "x"), "--key must name a column"),
        (("runs", "--top", "0"), "--top must be"),
        (("runs", "--limit", "0"), "--limit must be from 1"),
        (("runs", "--watch", "--format", "json"), "cannot be given together"),
        (("--watch",), "need the NAME"),
        (("--format", "svg"), "need the NAME"),
        (("forget",), "forget needs the NAME"),
        (("runs", "rows"), "one NAME at a time"),
    ],
)
def test_wrong_arguments_are_a_matter_of_usage(
    here: Here, database: DatabaseSettings, arguments: Sequence[str], complaint: str
) -> None:
    async def prepare() -> None:
        connection = await asyncpg.connect(
            host=database.host,
            port=database.port,
            user=database.user,
            password=database.password,
            database=database.dbname,
        )
        await add_statistic(connection, a_layout())  # type: ignore[arg-type]
        await connection.close()

    asyncio.run(prepare())
    code, out, err = here("stats", *arguments)
    assert (code, out) == (2, "") and complaint in err and err.count("\n") == 1


def test_an_unknown_statistic_is_an_error(here: Here) -> None:
    for arguments in (("none",), ("forget", "none"), ("none", "--rebuild")):
        code, out, err = here("stats", *arguments)
        assert (code, out, err) == (1, "", "promise-pub: There is no statistic 'none'.\n")


async def test_a_statistic_is_forgotten_and_counted_anew(command: Command, pool: asyncpg.Pool) -> None:
    await fill(pool)
    assert (await command("stats", "runs", "--rebuild")).out.startswith("runs is counted anew.")
    assert await pool.fetchval("SELECT version FROM stats_statistics") == 0
    assert "Version" not in (await command("stats", "runs", "--format", "json")).err
    assert (await command("stats", "forget", "runs")).out.startswith("runs is forgotten.")
    assert await pool.fetchval("SELECT count(*) FROM stats_cells") == 0
    assert (await command("stats", "runs")).code == 1


async def test_without_a_database_or_its_tables_every_command_says_so(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    away = configured(tmp_path / "away.ini", replace(database, host=str(tmp_path)))
    bare = configured(tmp_path / "bare.ini", replace(database, dbname="postgres"))
    for said in await asyncio.gather(run(away, "stats"), run(bare, "stats", "runs"), run(away, "stats", "forget", "x")):
        assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1


async def until_counted(pool: asyncpg.Pool, position: int) -> None:
    query = "SELECT count(*) FROM stats_statistics WHERE name = 'volume' AND shown AND position = $1"
    async with asyncio.timeout(PATIENCE):
        while not await pool.fetchval(query, position):  # noqa: ASYNC110  another process counts
            await asyncio.sleep(0.1)


async def test_a_process_of_its_own_counts_until_it_is_stopped_and_another_watches(
    start_process: StartCommand, pool: asyncpg.Pool, configuration: Path
) -> None:
    journal = StoredJournal(pool)
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    await journal.append([a_new_event(f"a.b.{n}", b"{}", at=at) for n in range(7)])
    keeper = await start_process("stats", "keep", "-c", configuration)
    await keeper.wait_for("Counting statistics")
    await until_counted(pool, 7)
    watching = await start_process("stats", "volume", "--interval", "1h", "--watch", "-c", configuration)
    await watching.wait_for("2026-11-24 12:00:00 +7")
    await journal.append([a_new_event("a.b", b"{}", at=at)])
    await watching.wait_for("2026-11-24 12:00:00 +8")
    assert await watching.stop(signal.SIGINT) == 0
    assert await keeper.stop(signal.SIGTERM) == 0
    await until_counted(pool, 8)
