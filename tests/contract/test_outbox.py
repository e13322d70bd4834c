"""Every change of a run is told in the transaction that makes it: by the ledger on PostgreSQL, and by the tests' fake."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from promise_pub.db import open_pool
from promise_pub.delivery.store import ledger as ledger_module
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.delivery.telling import RunTelling, count_fates, tell_cleared
from promise_pub.errors import NotClearable, NotResumable, RunDeleted, RunTaken
from promise_pub.event_records import OutboxEvent
from promise_pub.outbox import Outbox, new_message_id
from promise_pub.records import Counts, Fault, RunReport, SessionView, State, StoredFile
from promise_pub.settings.model import DatabaseSettings
from tests import run_parts
from tests.fakes import FakeLedger

STOPPED = Fault("broker_lost", "gone")

Told = tuple[str, str, str | None, str | None, dict[str, Any]]
"""The message id of an event, its topic, subject, actor and body."""


@dataclass
class Subject:
    """A ledger, and what it told, in its order."""

    ledger: Any
    read: Callable[[], Awaitable[list[Told]]]


async def outbox_of(pool: asyncpg.Pool) -> list[Told]:
    rows = await pool.fetch("SELECT message_id, topic, subject, actor, body FROM outbox ORDER BY n")
    return [(row["message_id"], row["topic"], row["subject"], row["actor"], json.loads(row["body"])) for row in rows]


@asynccontextmanager
async def real(database: DatabaseSettings, *, is_read: bool = True) -> AsyncIterator[Subject]:
    async with open_pool(database, max_size=3) as pool, ServerLocks(pool) as locks:
        yield Subject(Ledger(pool, locks, Outbox(pool, read_by_somebody=is_read)), lambda: outbox_of(pool))


@asynccontextmanager
async def fake() -> AsyncIterator[Subject]:
    ledger = FakeLedger()

    async def read() -> list[Told]:
        return [(one.message_id, one.topic, one.subject, one.actor, dict(one.body)) for one in ledger.outbox]

    yield Subject(ledger, read)


@pytest.fixture(params=["fake", "postgresql"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with fake() if request.param == "fake" else real(request.getfixturevalue("database")) as made:
        yield made


def queued(**changes: Any) -> RunReport:
    fresh = {"id": str(uuid4()), "state": State.QUEUED, "started_at": None, "counts": Counts(), "session": None}
    return run_parts.report(**{**fresh, **changes})


async def write(ledger: Any, run: RunReport, telling: RunTelling) -> None:
    news = telling.tell(run)
    await ledger.write_run(run, news)
    telling.confirm(news)


async def open_run(ledger: Any, run: RunReport) -> RunTelling:
    telling = RunTelling()
    news = telling.tell(run)
    await ledger.open_run(run, news)
    telling.confirm(news)
    return telling


def sums(events: Sequence[Told]) -> Counter[str]:
    added: Counter[str] = Counter()
    for event in events:
        added.update(event[4].get("rows", {}))
    return added


async def test_each_change_is_told_with_the_run(subject: Subject) -> None:
    run = queued(started_by="ann", file=StoredFile("O'Brien \N{CRAB}.csv", 1, "a"))
    telling = await open_run(subject.ledger, run)
    going = replace(run, state=State.PUBLISHING, counts=Counts(read=9, published=7, confirmed=5))
    await write(subject.ledger, going, telling)
    failed = replace(going, state=State.FAILED, counts=Counts(read=9, published=7, confirmed=4), error=STOPPED)
    await write(subject.ledger, failed, telling)
    told = await subject.read()
    assert [event[:4] for event in told] == [
        (f"{run.id}:e{number}", topic, run.id, "ann")
        for number, topic in enumerate(["run.queued", "run.started", "run.ended"], 1)
    ]
    assert told[-1][4]["rows"] == {"read": 9, "published": 7, "confirmed": 4}
    stored = await subject.ledger.get_run(run.id)
    assert stored.told == telling.recorded
    assert sums(told) == Counter(count_fates(stored.counts, stored.totals))


async def test_a_run_is_resumed_once_and_that_is_told_once(subject: Subject) -> None:
    run = queued()
    telling = await open_run(subject.ledger, run)
    await write(subject.ledger, replace(run, state=State.FAILED, error=STOPPED), telling)
    stored = await subject.ledger.get_run(run.id)
    again = replace(stored, state=State.QUEUED)
    for taken in (False, True):
        news = RunTelling(stored.told).tell(again)
        if taken:
            with pytest.raises(NotResumable):
                await subject.ledger.reopen_run(again, news)
        else:
            await subject.ledger.reopen_run(again, news)
    told = await subject.read()
    assert [event[1] for event in told] == ["run.queued", "run.ended", "run.queued"]
    assert told[-1][4]["resumed"] is True


async def test_a_resumption_decided_before_another_ended_is_refused(subject: Subject) -> None:
    """Its events would have the numbers of those of the other."""
    run = queued()
    telling = await open_run(subject.ledger, run)
    await write(subject.ledger, replace(run, state=State.FAILED, error=STOPPED), telling)
    late = await subject.ledger.get_run(run.id)
    telling = RunTelling(late.told)
    again = replace(late, state=State.QUEUED)
    news = telling.tell(again)
    await subject.ledger.reopen_run(again, news)
    telling.confirm(news)
    await write(subject.ledger, replace(again, state=State.CANCELLED), telling)
    with pytest.raises(NotResumable):
        await subject.ledger.reopen_run(replace(late, state=State.QUEUED), RunTelling(late.told).tell(again))
    assert len(await subject.read()) == 4


async def test_a_cleared_table_is_told_with_its_rows(database: DatabaseSettings) -> None:
    for statement in ("SELECT 1", "ALTER TABLE employees ADD COLUMN head BIGINT REFERENCES employees (id)"):
        async with real(database) as subject, open_pool(database) as pool:
            await pool.execute("TRUNCATE employees; TRUNCATE outbox")
            await pool.execute(statement)
            await pool.execute("INSERT INTO employees (name, mail) SELECT n, n FROM generate_series(1, 7) AS n")
            run = queued()
            await subject.ledger.clear_employees(lambda rows, run=run: tell_cleared(run, rows))
            assert await subject.read() == [
                (f"{run.id}:cleared", "employees.cleared", run.id, None, {"run": run.id, "rows": 7})
            ]


async def test_a_table_that_a_run_clears_again_is_told_under_the_same_id(database: DatabaseSettings) -> None:
    """The answer to the first time was lost; the journal keeps what was told then."""
    async with real(database) as subject, open_pool(database) as pool:
        await pool.execute("INSERT INTO employees (name, mail) VALUES ('n', 'm')")
        run = queued()
        for _ in range(2):
            await subject.ledger.clear_employees(lambda rows: tell_cleared(run, rows))
        assert [(event[0], event[4]["rows"]) for event in await subject.read()] == [
            (f"{run.id}:cleared", 1),
            (f"{run.id}:cleared", 0),
        ]


async def test_a_table_that_is_not_cleared_is_not_told(database: DatabaseSettings) -> None:
    async with real(database) as subject, open_pool(database) as pool:
        await pool.execute("INSERT INTO employees (name, mail) VALUES ('n', 'm')")
        await pool.execute(
            "CREATE TABLE heads (employee BIGINT REFERENCES employees); INSERT INTO heads SELECT id FROM employees"
        )
        with pytest.raises(NotClearable):
            await subject.ledger.clear_employees(lambda rows: tell_cleared(queued(), rows))
        assert await subject.read() == []


async def test_a_run_that_another_server_took_tells_nothing(database: DatabaseSettings) -> None:
    async with real(database) as subject, open_pool(database) as pool:
        run = queued()
        telling = await open_run(subject.ledger, run)
        await pool.execute("UPDATE runs SET server = 0")
        with pytest.raises(RunTaken):
            await write(subject.ledger, replace(run, state=State.FAILED), telling)
        await pool.execute("DELETE FROM runs")
        with pytest.raises(RunDeleted):
            await write(subject.ledger, replace(run, state=State.FAILED), telling)
        assert [event[1] for event in await subject.read()] == ["run.queued"]


async def test_runs_of_a_dead_server_are_told_as_interrupted_and_their_sums_stay_right(
    database: DatabaseSettings,
) -> None:
    async with real(database) as dead:
        run, waiting = queued(started_by="ann"), queued()
        telling = await open_run(dead.ledger, run)
        await open_run(dead.ledger, waiting)
        going = replace(run, state=State.PUBLISHING, counts=Counts(read=9, published=9, confirmed=5))
        await write(dead.ledger, going, telling)
        session = SessionView("s", received=4, saved=3)
        # Recorded, and not told yet.
        await write(dead.ledger, replace(going, counts=Counts(read=30, confirmed=28), session=session), telling)
    async with real(database) as subject:
        assert await subject.ledger.take_over() == sorted([run.id, waiting.id])
        assert await subject.ledger.take_over() == []
        told = await subject.read()
        mine = [event for event in told if event[2] == run.id]
        assert [event[1] for event in mine] == ["run.queued", "run.started", "run.ended"]
        assert mine[-1][3] == "ann"
        stored = await subject.ledger.get_run(run.id)
        assert stored.state is State.INTERRUPTED
        assert sums(mine) == Counter(count_fates(stored.counts, stored.totals))
        assert mine[-1][4]["error"] == "interrupted" and mine[-1][4]["state"] == "interrupted"


async def test_a_record_of_another_version_is_interrupted_all_the_same(database: DatabaseSettings) -> None:
    async with real(database) as dead, open_pool(database) as pool:
        run = queued()
        await open_run(dead.ledger, run)
        await pool.execute("""UPDATE runs SET seconds = '[]', resends = '[{"rows": 1}]'""")
    async with real(database) as subject, open_pool(database) as pool:
        assert await subject.ledger.take_over() == [run.id]
        assert len(await subject.read()) == 1
        assert json.loads(await pool.fetchval("SELECT told FROM runs"))["number"] == 1, "what was told stays told"


async def test_runs_that_were_never_told_are_told_once_and_one_that_cannot_be_read_keeps_none_from_it(
    database: DatabaseSettings,
) -> None:
    async with real(database) as subject, open_pool(database) as pool:
        runs = [run_parts.ended(id=str(uuid4())) for _ in range(3)]
        for run in runs:
            await subject.ledger.open_run(run)
            await subject.ledger.write_run(run)
        told = await open_run(subject.ledger, queued())
        await pool.execute("""UPDATE runs SET resends = '[{"rows": 1}]' WHERE id = $1""", runs.pop(0).id)
        assert await subject.ledger.tell_untold(2) == 2
        assert await subject.ledger.tell_untold(2) == 1
        assert await subject.ledger.tell_untold(2) == 0
        events = (await subject.read())[1:]
        assert sorted(event[0] for event in events) == sorted(f"{run.id}:e1" for run in runs)
        assert {event[1] for event in events} == {"run.ended"}
        assert told.recorded.number == 1


async def test_characters_that_cannot_be_stored_keep_nothing_from_being_told(database: DatabaseSettings) -> None:
    async with open_pool(database) as pool:
        body = {"a\0": ["\ud800", {"b": "\\u0000"}], "n": None, "c": 1.5}
        event = OutboxEvent(message_id="m", at=run_parts.STARTED, topic="t\0", subject="\udfff", actor="a\0", body=body)
        await Outbox(pool, read_by_somebody=True).put(event)
        assert await outbox_of(pool) == [
            ("m", "t\ufffd", "?", "a\ufffd", {"a\ufffd": ["?", {"b": "\\u0000"}], "n": None, "c": 1.5})
        ]


async def test_what_a_server_that_tells_nothing_did_meanwhile_is_told_later(database: DatabaseSettings) -> None:
    run = queued()
    async with real(database) as subject:
        telling = await open_run(subject.ledger, run)
        going = replace(run, state=State.FAILED, error=STOPPED, counts=Counts(read=9, published=5, confirmed=5))
        await write(subject.ledger, going, telling)
    async with real(database, is_read=False) as silent:
        await silent.ledger.reopen_run(await silent.ledger.get_run(run.id))
        ended = replace(going, state=State.COMPLETED, error=None, counts=Counts(read=9, published=9, confirmed=9))
        await silent.ledger.write_run(ended)
    async with real(database) as subject:
        assert await subject.ledger.tell_untold(10) == 1
        assert await subject.ledger.tell_untold(10) == 0
        told = await subject.read()
        assert [event[4].get("state") for event in told if event[1] == "run.ended"] == ["failed", "completed"]
        assert sums(told)["confirmed"] == 9


async def test_a_table_that_takes_long_to_count_is_cleared_all_the_same(
    database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "COUNT_TIMEOUT", 0.0)
    async with real(database) as subject:
        run = queued()
        await subject.ledger.clear_employees(lambda rows: tell_cleared(run, rows))
        assert [event[4]["rows"] for event in await subject.read()] == [None]


async def test_while_nobody_reads_nothing_is_told(database: DatabaseSettings) -> None:
    async with real(database, is_read=False) as subject, open_pool(database) as pool:
        run = queued()
        telling = await open_run(subject.ledger, run)
        await write(subject.ledger, replace(run, state=State.FAILED), telling)
        await subject.ledger.clear_employees(lambda rows: tell_cleared(run, rows))
        await Outbox(pool).put(OutboxEvent(message_id=new_message_id(), at=run.created_at, topic="t", body={}))
        assert await subject.read() == []
        assert await pool.fetchval("SELECT told FROM runs") == "{}", "told when somebody reads again"
