"""Statistics on pages of others: the runs of the last days, and links; left out where they are late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.errors import DatabaseUnavailable
from promise_pub.features.stats.insets import by_verdict
from promise_pub.features.stats.intervals import start_of
from promise_pub.features.stats.questions import Row
from promise_pub.features.stats.records import OTHERS
from tests.stats.tables import DAY, START, a_layout, key
from tests.unit.features.stats.conftest import Seen

COLUMNS = ("state", "verdict", "mode")
TODAY = start_of(datetime.now(UTC), 86_400)


def add_runs(seen: Seen) -> None:
    rows = [
        Row(TODAY, key("completed", "kept", "live"), (3,)),
        Row(TODAY, key("completed", "kept", "batch"), (2,)),
        Row(TODAY - DAY, key("completed", "broken", "batch"), (1,)),
        Row(TODAY - 20 * DAY, key("completed", "unknown", "batch"), (1,)),
    ]
    seen.statistics.add(a_layout(columns=COLUMNS), {86_400: rows})
    seen.statistics.add(a_layout("volume", topics=("#",), columns=()))
    seen.statistics.add(a_layout("logins", topics=("*.account.#",), columns=()))


def test_counts_of_other_columns_are_added() -> None:
    rows = [
        Row(START, key("a", "kept", "x"), (1,)),
        Row(START, key("b", "kept", "x"), (2,)),
        Row(START + DAY, key("b", "none", "y"), (4,)),
        Row(START, OTHERS, (9,)),
    ]
    series = by_verdict(rows, [START, START + DAY], a_layout(columns=COLUMNS))
    assert [(one.name, one.values) for one in series] == [("kept", [3, 0]), ("none", [0, 4])]


async def test_the_first_page_draws_the_runs_of_the_last_days(seen: Seen) -> None:
    assert "The last 14 days" not in await seen.text("/")
    seen.statistics.add(a_layout(columns=COLUMNS))
    assert "No runs in the last 14 days" in await seen.text("/")
    add_runs(seen)
    text = await seen.text("/")
    assert (
        "<svg viewBox" in text
        and "kept: 5." in text
        and "broken: 1." in text
        and "unknown" not in text.split("<svg")[1]
    )
    assert text.index("The last 14 days") < text.index("Newest runs")


async def test_history_and_runs_link_the_statistics_that_they_are_in(seen: Seen) -> None:
    add_runs(seen)
    text = await seen.text("/runs")
    assert 'href="/stats/runs"' in text and "/stats/volume" not in text and "/stats/logins" not in text
    sent = await seen.client.post(
        "/simulate/?mode=batch", data=b"a,b\n", headers={"Content-Type": "text/csv", "Accept": "application/json"}
    )
    run = await sent.json()
    day = datetime.fromisoformat(run["finished_at"])
    text = await seen.text(f"/runs/{run['id']}")
    assert f'href="/stats/runs?since={day:%Y-%m-%d}&amp;until={day + timedelta(days=1):%Y-%m-%d}"' in text
    assert (await seen.get(f"/runs/{uuid4()}")).status == 404


async def test_a_database_that_is_away_or_hangs_leaves_them_out(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    add_runs(seen)
    seen.statistics.away = DatabaseUnavailable("away")
    for path in ("/", "/runs"):
        text = await seen.text(path)
        assert "/stats/runs" not in text and "The last 14 days" not in text
    seen.statistics.away = None

    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(30)

    monkeypatch.setattr(seen.statistics, "find", hang)
    monkeypatch.setattr(seen.statistics, "list", hang)
    for path in ("/", "/runs"):
        async with asyncio.timeout(5):
            text = await seen.text(path)
        assert "/stats/runs" not in text and "The last 14 days" not in text


async def test_what_fails_unexpectedly_is_left_out_and_logged(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_runs(seen)

    async def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(seen.statistics, "find", fail)
    assert "The last 14 days" not in await seen.text("/")
    assert "A part of a page is left out" in caplog.text
