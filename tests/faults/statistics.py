"""Statistics as they are looked at from outside: counted again, by other code, from the events of the journal.

Nothing here asks promise-pub how it counts. Windows are cut by PostgreSQL (`date_bin`), all of them in UTC.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.parts import PATIENCE
from tests.faults.world import POLL, World

_BEHIND = """
SELECT coalesce(max((SELECT seq FROM journal_head) - position), -1) AS behind, count(*) AS going,
       EXISTS (SELECT FROM outbox) AS waiting
FROM stats_statistics WHERE state = 'going'
"""
_EVENTS = """
SELECT date_bin($1::interval, at, '2000-01-03T00:00:00Z') AS start, topic, source, sender,
       CASE source WHEN 'own' THEN convert_from(body, 'UTF8') END AS body
FROM journal_events
"""
_WIDTHS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
PER_PAGE = 500

Counts = Counter[tuple[str, ...]]
Count = Callable[[Mapping[str, Any]], Iterable[tuple[tuple[str, ...], int]]]


def _of_run(event: Mapping[str, Any], *topics: str) -> dict[str, Any]:
    """Returns the body of an own event about a run with one of these topics; {} of any other."""
    ours = event["source"] == "own" and event["topic"].partition(".")[2] in {f"run.{topic}" for topic in topics}
    return dict(json.loads(event["body"])) if ours else {}


def _rows(event: Mapping[str, Any]) -> Iterable[tuple[tuple[str, ...], int]]:
    return [((fate,), count) for fate, count in _of_run(event, "progress", "ended").get("rows", {}).items()]


def _runs(event: Mapping[str, Any]) -> Iterable[tuple[tuple[str, ...], int]]:
    ended = _of_run(event, "ended")
    return [((ended["state"], ended["verdict"] or "none", ended["mode"]), 1)] if ended else []


# For each statistic its columns, the widths of its windows, and what an event adds to it.
_COUNTED: dict[str, tuple[tuple[str, ...], tuple[str, ...], Count]] = {
    "volume": ((), ("1m", "1h", "1d"), lambda event: [((), 1)]),
    "volume-by-topic": (("topic",), ("1m", "1h", "1d"), lambda event: [((event["topic"],), 1)]),
    "senders": (("sender",), ("1h", "1d"), lambda event: [((event["sender"] or "",), 1)]),
    "rows": (("fate",), ("1m", "1h", "1d"), _rows),
    "runs": (("state", "verdict", "mode"), ("1h", "1d"), _runs),
}


async def counted_up(world: World) -> None:
    """Waits until each statistic has counted every event there is, and none is on its way to the journal."""
    found: Mapping[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                (found,) = await world.database.fetch(_BEHIND)
                if found["going"] and found["behind"] == 0 and not found["waiting"]:
                    return
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise AssertionError(f"statistics are behind: {dict(found)}\n{world.server.output}") from None


async def statistics_are_exact(world: World) -> None:
    """Compares statistics with what the journal has, to the last event. None was set aside, and none has left an event out."""
    await counted_up(world)
    wrong = await world.database.fetch(
        "SELECT layout->>'name' AS name, state, trouble, left_out FROM stats_statistics WHERE state <> 'going' OR left_out > 0"
    )
    assert not wrong, [dict(row) for row in wrong]
    for width, wide in _WIDTHS.items():
        events = await world.database.fetch(_EVENTS, wide)
        for name, (columns, widths, count) in _COUNTED.items():
            if width in widths:
                wanted, shown = _naive(events, count), await _shown(world, name, columns, width)
                assert shown == wanted, (name, width, shown - wanted, wanted - shown)


def _naive(events: Iterable[Mapping[str, Any]], count: Count) -> Counts:
    counts: Counts = Counter()
    for event in events:
        for key, number in count(event):
            counts[_moment(event["start"]), *key] += number
    return _without_zeros(counts)


async def _shown(world: World, name: str, columns: Iterable[str], width: str) -> Counts:
    """Returns the rows of all pages."""
    counts: Counts = Counter()
    page = 1
    asked = {
        "interval": width,
        "until": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
    }
    while True:
        query = {**asked, "page": str(page), "per_page": str(PER_PAGE), "order": "asc", "format": "json"}
        status, answer = await world.ask("GET", f"/stats/{name}", params=query)
        assert status == 200, answer
        for row in answer["rows"]:
            key = row["start"], *(row["key"][column] for column in columns)
            assert key not in counts, (name, row)
            counts[key] = row["count"]
        if len(answer["rows"]) < PER_PAGE:
            return _without_zeros(counts)
        page += 1


def _without_zeros(counts: Counts) -> Counts:
    return Counter({key: count for key, count in counts.items() if count})


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
