"""`promise-pub usage` as a process: counts in each format, refuses what it cannot count, forgets a name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import asyncpg
import pytest

from promise_pub.features.journal.store import StoredJournal
from promise_pub.settings.model import DatabaseSettings
from tests.command_parts import Here, configured, run, table
from tests.usage import example
from tests.usage.site import Site

WEEKS = ("--start", "2026-01-05", "--end", "2026-02-09")


@pytest.fixture
async def condensed(pool: asyncpg.Pool, database: DatabaseSettings, tmp_path: Path) -> Path:
    """A configuration of the example of docs/usage.md, of which all is condensed."""
    site = Site(pool, StoredJournal(pool), example.SETTINGS, example.THROUGH)
    await site.log_in(*((actor, at) for _, actor, at in example.logins()))
    await site.condense()
    return configured(tmp_path / "usage.ini", database, usage=example.SETTINGS)


async def test_every_format_tells_the_same_weeks(condensed: Path) -> None:
    formats = ("text", "json", "csv", "html", "svg")
    said = await asyncio.gather(*(run(condensed, "usage", *WEEKS, "--format", one) for one in formats))
    assert {one.code for one in said} == {0}
    text, told, rows, page, drawn = (one.out for one in said)
    lines = text.splitlines()
    assert lines[:2] == ["Users who logged in, by week", "3 different users from 2026-01-05 to before 2026-02-09."]
    assert lines[2].startswith("Through 2026-02-06 01:30 · next ") and lines[2].endswith(
        " 01:30 · days of Europe/Berlin · without admin"
    )
    assert lines[5].split() == ["2026-W02", "2026-01-05", "2026-01-12", "2", "4", "yes"]
    (weeks,) = [one.lines for one in example.shown() if one.given.get("aggregate") == "week"]
    assert table(rows) == weeks
    found = json.loads(told)
    assert [one["period"] for one in found["periods"]] == [row[0] for row in weeks[1:]] and found["users"] == 3
    assert page.startswith("<!doctype html>") and "<td>2026-W02</td>" in page
    ElementTree.fromstring(drawn)


async def test_each_option_is_that_of_the_page(condensed: Path) -> None:
    questions = [*example.shown()]
    said = await asyncio.gather(*(run(condensed, "usage", *shown.options, "--format", "csv") for shown in questions))
    assert [table(one.out) for one in said] == [shown.lines for shown in questions]


async def test_a_forgotten_name_leaves_the_numbers_as_they_were(condensed: Path, pool: asyncpg.Pool) -> None:
    before = await run(condensed, "usage", *WEEKS, "--format", "json")
    said = await run(condensed, "usage", "forget", "ann")
    assert (said.code, said.out) == (0, "ann is forgotten, on 3 days.\n")
    after = await run(condensed, "usage", *WEEKS, "--format", "json")
    assert json.loads(after.out) == json.loads(before.out)
    assert await pool.fetchval("SELECT count(*) FROM usage_actors WHERE actor = 'ann'") == 0
    said = await run(condensed, "usage", "forget", "no\x01body")
    assert said.out == "no\\x01body is forgotten, but was on no day: nobody of this name was condensed.\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--by", "hour"), "--by must be one of day, week, month, quarter, year"),
        (("--start", "monday"), "--start must be a span"),
        (("--start", "1d", "--end", "2d"), "--start must be before --end"),
        (("--rolling", "1"), "--rolling must be 0, or a number of days from 2 to 366"),
        (("--rolling", "7", "--by", "week"), "--rolling goes with --by day only"),
        (("--action", "logout"), "--action must be one of login, run, token"),
        (("--by", "day", "--start", "2000-01-01"), "more than 4,000 periods apart"),
    ],
)
def test_wrong_arguments_are_a_matter_of_usage(here: Here, arguments: Sequence[str], complaint: str) -> None:
    code, out, err = here("usage", *arguments)
    assert (code, out) == (2, "") and complaint in err and err.count("\n") == 1


def test_nothing_condensed_is_an_answer_with_its_reason(here: Here) -> None:
    code, out, _ = here("usage")
    assert code == 0 and "Nothing was condensed yet." in out and "promise-pub jobs run usage" in out


async def test_without_a_database_or_its_tables_every_command_says_so(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    away = configured(tmp_path / "away.ini", replace(database, host=str(tmp_path)))
    bare = configured(tmp_path / "bare.ini", replace(database, dbname="postgres"))
    for said in await asyncio.gather(run(away, "usage"), run(bare, "usage"), run(away, "usage", "forget", "x")):
        assert (said.code, said.out) == (1, "") and said.err.count("\n") == 1
