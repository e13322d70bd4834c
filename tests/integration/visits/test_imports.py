"""`promise-pub visits import` and `forget`: all of a file or nothing, nothing of who is forgotten."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from promise_pub.features.visits.hits import format_time
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.features.visits.store import StoredVisits
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import Command, Here, configured, run, table
from tests.visits.walks import text

ONE, TWO = UUID(int=1), UUID(int=2)
# Sessions that began then have ended, or have not; tests may run long after these lines.
EARLIER = datetime.now(UTC) - timedelta(hours=3)
LATER = datetime.now(UTC) + timedelta(hours=3)


HITS = text(
    f"""
    at,session_id,page,ip,headers
    2026-07-01T12:00:00Z,{ONE},/,192.0.2.77,"[[""Cookie"", ""c""], [""Accept"", ""b""]]"
    2026-07-01T12:00:00Z,{ONE},/runs,,
    2026-07-01T12:00:00Z,{TWO},/,,
    """
)


async def test_a_file_is_taken_once_however_often_it_is_imported(
    command: Command, visits: StoredVisits, tmp_path: Path
) -> None:
    path = tmp_path / "hits.csv"
    path.write_text(HITS)
    assert await command("visits", "import", path) == (0, "3 hits read, 3 of them new.\n", "")
    assert await command("visits", "import", path) == (0, "3 hits read, 0 of them new.\n", "")
    _, hits = await visits.get_session(ONE)
    assert [(hit.page, str(hit.ip), hit.headers) for hit in hits] == [
        ("/", "192.0.2.77", '[["Accept", "b"]]'),
        ("/runs", "None", "[]"),
    ]
    again = tmp_path / "again.jsonl"
    again.write_text("".join(f"{json.dumps(hit.as_json())}\n" for hit in hits[:1]))
    assert await command("visits", "import", again) == (0, "1 hit read, 0 of them new.\n", "")


async def test_of_a_file_with_a_mistake_nothing_is_taken(
    command: Command, visits: StoredVisits, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    line = f"2026-07-01,{ONE},/,,\n"
    bad.write_text(f"{HITS}{line * 2500}{line.replace('/', 'exit')}2026,{ONE},/,,\n")
    refused, missing = await asyncio.gather(
        command("visits", "import", bad), command("-q", "visits", "import", tmp_path / "none")
    )
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.splitlines() == [
        f"promise-pub: {bad}: nothing was imported",
        "promise-pub: line 2505: page cannot be 'exit'",
        "promise-pub: line 2506: at cannot be '2026'",
    ]
    said = f"promise-pub: {tmp_path}/none: cannot be read: No such file or directory\n"
    assert missing == (1, "", said)
    assert (await visits.list_sessions(10))[1] == 0


def test_a_forgotten_session_is_gone_and_is_not_imported_again(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "hits.csv"
    path.write_text(HITS)
    assert here("visits", "import", path, "-q") == (0, "", "")
    forgotten = f"Session {ONE} was deleted with 2 hits.\n"
    assert here("visits", "forget", str(ONE)) == (0, forgotten, "")
    assert here("visits", "forget", str(ONE)).code == 1
    left_out = "3 hits read, 0 of them new, 2 of deleted sessions left out.\n"
    assert here("visits", "import", path) == (0, left_out, "")
    assert [row[0] for row in table(here("sessions", "--format", "csv").out)[1:]] == [str(TWO)]
    assert here("-q", "visits", "forget", str(TWO)) == (0, "", "")
    assert here("sessions").out == "No sessions yet.\n"


async def test_settings_of_visits_go_for_commands_as_well(
    database: DatabaseSettings, visits: StoredVisits, tmp_path: Path
) -> None:
    """Addresses are cut where servers cut them, and a session ends when it does for them."""
    settings = VisitsSettings(anonymise=True, idle=600, enabled=False)
    configuration = configured(tmp_path / "test.ini", database, visits=settings)
    path = tmp_path / "hits.csv"
    path.write_text(f"at,session_id,page,ip\n{format_time(EARLIER)},{ONE},/,192.0.2.77\n")
    assert (await run(configuration, "visits", "import", path)).code == 0
    assert str((await visits.get_session(ONE))[1][0].ip) == "192.0.2.0"
    listed = await run(configuration, "sessions", "--format", "json")
    assert [one["ended"] for one in json.loads(listed.out)] == [False]


async def test_a_whole_day_of_visits_is_counted_to_the_last_hit(command: Command, tmp_path: Path) -> None:
    """500 sessions of each of four walks, in a file without order: 20,000 hits of 2,000 sessions."""
    walks = [
        (EARLIER, ["/"]),
        (EARLIER, ["/", "/runs"] * 9 + ["/"]),
        (EARLIER, ["/docs"] + ["/runs/{id}"] * 9),
        (LATER, ["/runs"] * 10),  # these still go
    ]
    lines = [
        f"{format_time(began + timedelta(seconds=place, milliseconds=n))},{UUID(int=4 * n + kind)},{page}\n"
        for n in range(500)
        for kind, (began, pages) in enumerate(walks)
        for place, page in enumerate(pages)
    ]
    random.Random(1).shuffle(lines)
    path = tmp_path / "day.csv"
    path.write_text("at,session_id,page\n" + "".join(lines))
    imported = await command("visits", "import", path)
    assert imported == (0, "20,000 hits read, 20,000 of them new.\n", "")
    counted, listed = await asyncio.gather(
        command("transitions", "--format", "json"),
        command("sessions", "--format", "csv", "--limit", "10000"),
    )
    told = json.loads(counted.out)
    assert [told[name] for name in ("hits", "sessions", "ended", "bounces", "bounce_rate")] == [
        20_000,
        2000,
        1500,
        500,
        0.333333,
    ]
    assert [tuple(page.values()) for page in told["pages"]] == [
        ("/runs", 9500, 500, 0.475, 16.5),
        ("/", 5500, 1000, 0.275, 14.5),
        ("/runs/{id}", 4500, 0, 0.225, 9.0),
        ("/docs", 500, 500, 0.025, 10.0),
    ]
    assert [tuple(row.values()) for row in told["transitions"]] == [
        ("/runs", "/", 4500, 0.5),
        ("/runs", "/runs", 4500, 0.5),
        ("/", "/runs", 4500, 0.818182),
        ("/", "exit", 1000, 0.181818),
        ("/runs/{id}", "/runs/{id}", 4000, 0.888889),
        ("/runs/{id}", "exit", 500, 0.111111),
        ("/docs", "/runs/{id}", 500, 1.0),
    ]
    _, *rows = table(listed.out)
    assert Counter((row[3], row[4], row[5]) for row in rows) == {
        ("1", "1", "True"): 500,
        ("19", "2", "True"): 500,
        ("10", "2", "True"): 500,
        ("10", "1", "False"): 500,
    }
