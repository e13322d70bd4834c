"""The rows of a run whose server or consumer was killed: as it was left, and once it was resumed, in several sessions."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.faults.checker import Rows
from tests.faults.parts import PATIENCE
from tests.faults.world import POLL, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_CONFIRMED = {"rejected": "rejected", "returned": "returned", "nacked": "nacked", "unconfirmed": "in_flight"}
LINE = 1  # of the file's first row: it has no header


async def listed(world: World, run_id: str, rows: Rows) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and all its rows, which are those of the file."""
    status, told = await world.ask("GET", f"/runs/{run_id}/rows")
    assert status == 200, told
    report = await world.report(run_id)
    lines = rows.csv().decode().splitlines()
    assert [(row["line"], row["row"], row["content"]) for row in told] == [
        (number, number, line) for number, line in enumerate(lines, LINE)
    ]
    fates = Counter(row["fate"] for row in told)
    for fate, count in NOT_CONFIRMED.items():
        assert fates[fate] == report["rows"][count], (fates, report)
    confirmed = sum(count for fate, count in fates.items() if fate not in {*NOT_CONFIRMED, "unpublished"})
    assert confirmed == report["rows"]["confirmed"], (fates, report)
    assert {fate: count for fate, count in report["fates"].items() if count} == dict(fates)
    return report, told


def lines_of(told: list[dict[str, Any]], *fates: str) -> list[int]:
    return [row["line"] for row in told if row["fate"] in fates]


async def written_down(world: World, run_id: str) -> None:
    """The progress of a run is in the ledger."""
    async with asyncio.timeout(PATIENCE):
        while True:
            (row,) = await world.database.fetch(f"SELECT confirmed FROM runs WHERE id = '{run_id}'")
            if row["confirmed"] >= 300:
                return
            await asyncio.sleep(POLL)


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_rows_of_a_run_whose_server_was_killed(world: World, mode: str) -> None:
    """Listed as it was left, and again once it was resumed: nothing of the first list stays."""
    rows = Rows(3000, repeats=5)
    run_id = await world.send_some(rows.csv(), mode=mode, timeout=1)
    await written_down(world, run_id)
    await world.kill("server")
    world.go_on()
    for line in world.lines.values():
        line.heal()
    await world.server.start()
    report, told = await listed(world, run_id, rows)
    fates = Counter(row["fate"] for row in told)
    assert report["state"] == "interrupted" and fates["unknown"] >= 300 and fates["unpublished"]
    assert set(fates) <= {"unknown", "unconfirmed", "unpublished"}
    # Its server may have published more than it wrote down.
    assert {row["reason"] for row in told if row["fate"] == "unpublished"} == {
        "not published, as far as its server wrote down before it ended"
    }
    report, _ = await world.concluded(run_id)
    assert report["verdict"] == "kept", report
    report, told = await listed(world, run_id, rows)
    assert report["earlier_sessions"] or report["resends"]
    saved, repeats = lines_of(told, "saved"), [row for row in told if row["fate"] == "repeat"]
    assert len(saved) + len(repeats) == 3000 and len(saved) >= 2995 - 1
    contents = {row["line"]: row["values"]["mail"] for row in told}
    for row in repeats:
        if row["repeats_line"]:
            assert contents[row["repeats_line"]] == row["values"]["mail"]


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_rows_of_a_run_whose_consumer_was_killed(world: World, mode: str) -> None:
    rows = Rows(2500, repeats=3)
    run_id = await world.send_some(rows.csv(), mode=mode, timeout=1)
    await world.restart("consumer")
    world.go_on()
    report = await world.ended(run_id)
    if report["state"] != "completed":
        _, told = await listed(world, run_id, rows)
        assert "saved" not in {row["fate"] for row in told}
        report, _ = await world.concluded(run_id)
    assert report["verdict"] == "kept", report
    report, told = await listed(world, run_id, rows)
    assert not lines_of(told, "unknown", "missing", "unsaved", "unpublished"), Counter(row["fate"] for row in told)
