"""The checker itself: each kind of untruth, told to it on purpose, is one that it finds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.faults.checker import Outcome, Rows, look, telling_adds_up
from tests.faults.world import Report, World

RUN = "5d1b2a9e-0000-4000-8000-00000000000a"
ROWS = Rows(6, repeats=2)
SAVED = [*ROWS.pairs[:4]]


def world(table: list[tuple[str, str]] = SAVED, inserts: list[tuple[str, str]] = SAVED) -> World:
    """One that has these rows in its tables."""
    tables = {"employees": table, "every_insert": inserts}

    async def fetch(statement: str, _: str) -> list[dict[str, str]]:
        (rows,) = [rows for name, rows in tables.items() if f"FROM {name} " in statement]
        return [{"name": name, "mail": mail} for name, mail in rows]

    return cast(World, SimpleNamespace(database=SimpleNamespace(fetch=fetch), resumed=set()))


def report(**different: Any) -> Report:
    """Of a run that went well, but for what is different in its session or else."""
    digest = ROWS.digest(RUN, range(1, 7))
    session = {
        "uuid": "one",
        "received": 6,
        "saved": 4,
        "duplicates": 2,
        "digest": digest,
        "rows": "1-6",
    }
    fates = {"confirmed": 6, "returned": 0, "nacked": 0, "in_flight": 0, "unpublished": 0}
    told: Report = {
        "id": RUN,
        "state": "completed",
        "verdict": "kept",
        "explanation": [],
        "rows": {"read": 6, "rejected": 0, "resent": 0, **fates},
        "digest": digest,
        "returned_rows": "",
        "nacked_rows": "",
        "resends": [],
        "earlier_sessions": [],
        "session": session,
    }
    for name, value in different.items():
        (session if name in session else told)[name] = value
    return told


async def test_what_went_well_is_found_to_have_gone_well() -> None:
    assert await look(world(), report(), ROWS) == Outcome(6, 0, 0, 0, "kept")


async def test_an_insert_too_many_is_a_row_doubled_though_the_table_shows_none() -> None:
    """Saved, deleted and saved again, say: then the consumer counts it twice or not."""
    twice = world(inserts=[*SAVED, SAVED[1]])
    assert (await look(twice, report(saved=5, duplicates=1), ROWS)).doubled == 1
    with pytest.raises(AssertionError):
        await look(twice, report(), ROWS)


async def test_a_row_that_is_missing_and_not_named_is_lost() -> None:
    short = world(table=SAVED[:3], inserts=SAVED[:3])
    with pytest.raises(AssertionError):
        await look(short, report(saved=3, duplicates=3), ROWS)
    broken = report(saved=3, duplicates=3, verdict="broken")
    assert (await look(short, broken, ROWS)).lost == 1
    named = {**broken, "explanation": ["1 row was confirmed and never received: 4"]}
    assert (await look(short, named, ROWS)).named == 1


@pytest.mark.parametrize("wrong", [(ROWS.pairs[0][0], ROWS.pairs[1][1]), ROWS.pairs[5], ("Name 9", f"9@{ROWS.mark}")])
async def test_a_row_that_is_not_as_the_file_has_it_first_is_found(wrong: tuple[str, str]) -> None:
    """Under another's mail, a repeat in its first one's place, one that nobody sent."""
    for strange in (world(table=[*SAVED, wrong]), world(inserts=[*SAVED, wrong])):
        with pytest.raises(AssertionError):
            await look(strange, report(), ROWS)


@pytest.mark.parametrize(
    "untruth",
    [
        {"digest": f"{1:032x}"},
        {"rows": "1-5"},
        {"saved": 5, "duplicates": 1},
        {"saved": 3, "duplicates": 3},
        {"received": 7, "duplicates": 3},
        {"received": 7},
    ],
    ids=str,
)
async def test_what_a_session_tells_that_is_not_so_is_found(untruth: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        await look(world(), report(**untruth), ROWS)


async def test_a_digest_of_the_reports_own_is_found_whatever_the_consumer_tells() -> None:
    told = report()
    told["digest"] = told["session"]["digest"] = ROWS.digest(RUN, range(1, 6))
    with pytest.raises(AssertionError):
        await look(world(), told, ROWS)


async def test_rows_sent_again_may_be_received_again_if_the_report_says_so() -> None:
    told = report(received=7, duplicates=3)
    told["rows"]["resent"], told["resends"] = 1, [{"rows": 1, "reason": "a connection was lost"}]
    assert await look(world(), told, ROWS) == Outcome(6, 0, 0, 0, "kept")


def journal(*told: tuple[str, dict[str, Any]], events: int = 2) -> World:
    """A world whose journal has these events of the run, by the end of their ids."""
    bodies = [
        {
            "message_id": f"{RUN}:{end}",
            "topic": "run.ended" if "state" in body else "run.queued",
            "body": json.dumps(body),
        }
        for end, body in told
    ]

    async def fetch(statement: str, *_: str) -> list[dict[str, Any]]:
        return bodies if "outbox" in statement else [{"events": events, "last": 2}]

    return cast(World, SimpleNamespace(database=SimpleNamespace(fetch=fetch)))


ROWS_TOLD = {"read": 6, "published": 6, "confirmed": 6, "received": 6, "saved": 4, "duplicates": 2}
QUEUED = ("e1", {"rows": {}})


def told_report() -> Report:
    told = report(totals={"received": 6, "saved": 4, "repeats": 2, "unusable": None})
    told["rows"] |= {"published": 6}
    return told


async def test_events_that_add_up_are_found_to_do_so() -> None:
    ended = ("e2", {"rows": ROWS_TOLD, "state": "completed"})
    await telling_adds_up(journal(QUEUED, ended), told_report())


@pytest.mark.parametrize(
    "untrue",
    [
        journal(QUEUED, ("e2", {"rows": {**ROWS_TOLD, "saved": 5}, "state": "completed"})),
        journal(QUEUED, ("e3", {"rows": ROWS_TOLD, "state": "completed"})),
        journal(QUEUED, ("e2", {"rows": ROWS_TOLD, "state": "completed"}), events=1),
        journal(QUEUED, ("e2", {"rows": ROWS_TOLD, "state": "completed"}), ("e3", {"state": "completed"})),
    ],
    ids=["other rows", "an event is missing", "a number is missing", "an end is told twice"],
)
async def test_events_that_do_not_add_up_are_found(untrue: World) -> None:
    with pytest.raises(AssertionError):
        await telling_adds_up(untrue, told_report())
