"""The ledger that a run is written to: away for a while, for good, or refusing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.queue import recorder as module
from promise_pub.delivery.queue.recorder import RunRecorder
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.delivery.store.ledger import WRITE_TIMEOUT
from promise_pub.delivery.telling import NO_NEWS, News
from promise_pub.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable, PromisePubError, SchemaMissing
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Fault, Rejected, RunReport, State, StoredFile, Verdict
from promise_pub.retries import retry
from tests.fakes import FakeLedger, until
from tests.house import QUICK, House
from tests.virtual_time import VirtualTimeLoop

REFUSED = DatabaseRefused("The database refused: permission denied for table runs")
LONG = Parameters(mode=Mode.BATCH, rate=300)
REFUSALS: list[DatabaseError] = [
    REFUSED,
    SchemaMissing(),
    DatabaseError("The database failed: column is of another type"),
]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(module, "PROGRESS_EVERY", 0.005)
    house = House(tmp_path / "uploads", backoffs=QUICK)
    async with house.runs:
        yield house


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work())


def people(count: int) -> bytes:
    return b"".join(b"N%d,%d@x\n" % (n, n) for n in range(count))


async def publishing(house: House) -> ActiveRun:
    run = await house.submit(people(600), LONG)
    await until(lambda: run.counts().confirmed > 5)
    return run


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: error.code)
async def test_a_ledger_that_refuses_ends_the_run_at_once_in_its_words(house: House, refusal: DatabaseError) -> None:
    run = await publishing(house)
    house.ledger.away = refusal
    await asyncio.wait_for(run.done.wait(), 20)  # a third of the minute that one that is away gets
    report = run.report()
    assert (report.state, report.error) == (State.FAILED, Fault(refusal.code, refusal.message))
    assert not house.consumer.sessions
    house.ledger.away = None
    await until(lambda: house.runs.find(run.id) is None)
    assert house.recorded(run) == report, "it is recorded once that is allowed"
    assert (await house.finished()).report().verdict is Verdict.KEPT


async def test_a_refusal_ends_a_run_that_waits_for_a_ledger_that_is_away(house: House) -> None:
    run = await publishing(house)
    house.ledger.away = DatabaseUnavailable("gone")
    await until(lambda: run.ledger_gate.trouble)
    house.ledger.away = REFUSED
    await asyncio.wait_for(run.done.wait(), 20)
    assert run.report().error == Fault(REFUSED.code, REFUSED.message)


async def test_a_ledger_that_may_be_written_to_later_is_waited_for(house: House) -> None:
    """As one that is out of memory, or that is a standby up to now."""
    run = await publishing(house)
    house.ledger.away = DatabaseError("The database failed: out of memory", passes=True)
    await until(lambda: run.ledger_gate.trouble)
    house.ledger.away = None
    await until(lambda: not run.ledger_gate.trouble)
    assert not run.report().state.final


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (REFUSED, 1),
        (SchemaMissing(), 1),
        (DatabaseError("a value cannot be stored"), 1),
        (DatabaseUnavailable(), 120),
        (DatabaseError("deadlock detected", passes=True), 120),
    ],
    ids=lambda value: getattr(value, "message", None),
)
def test_a_step_is_tried_for_a_minute_where_that_is_of_use(error: PromisePubError, tries: int) -> None:
    async def work() -> None:
        asked = 0

        async def step() -> None:
            nonlocal asked
            asked += 1
            raise error

        with pytest.raises(type(error)):
            await retry(step, BACKOFFS.database, DatabaseError)
        assert tries <= asked <= 2 * tries
        assert asyncio.get_running_loop().time() <= BACKOFFS.database.within + 1

    in_virtual_time(work)


class RefusingRejected(FakeLedger):
    async def add_rejects(self, run_id: str, rejected: Sequence[Rejected]) -> None:
        raise DatabaseError("The database failed: a value cannot be stored")


def ended(number: int = 0) -> ActiveRun:
    run = ActiveRun(f"run-{number}", StoredFile("a", 1, "h"), Parameters())
    run.clock.start()
    run.fail(State.FAILED, Fault("broker_lost", "It was lost."))
    return run


async def test_an_end_is_recorded_where_its_rejected_rows_are_refused() -> None:
    ledger = RefusingRejected()
    run = ended()
    ledger.runs[run.id] = replace(run.report(), state=State.QUEUED)
    run.rejects.add([Rejected(1, "one field", "\\u0444")], 1)
    recorder = RunRecorder(ledger, QUICK.last_write)
    await asyncio.wait_for(recorder.record_end(run), 20)
    await until(lambda: ledger.runs[run.id].state is State.FAILED)
    await until(lambda: recorder.find_unrecorded(run.id) is None)


class LostConnection(FakeLedger):
    """The first write goes to a connection that was lost without a word; the next has a new one."""

    async def write_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        if not self.calls:
            self.calls.append("write_run")
            await asyncio.sleep(WRITE_TIMEOUT)
            raise DatabaseUnavailable
        await super().write_run(report, news)


def test_an_end_is_tried_on_another_connection_before_its_run_is_released() -> None:
    async def work() -> None:
        ledger, run = LostConnection(), ended()
        ledger.runs[run.id] = replace(run.report(), state=State.QUEUED)
        recorder = RunRecorder(ledger, BACKOFFS.last_write)
        await recorder.record_end(run)
        await recorder.close()
        assert ledger.runs[run.id].state is State.FAILED

    in_virtual_time(work)


@pytest.mark.parametrize("error", [REFUSED, DatabaseUnavailable("It is away.")], ids=["refuses", "is away"])
def test_an_end_that_cannot_be_recorded_costs_little_log_and_little_work(
    error: DatabaseError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def work() -> None:
        ledger, hours = FakeLedger(), 10
        ledger.away = error
        recorder, run = RunRecorder(ledger, BACKOFFS.last_write), ended()
        await recorder.record_end(run)
        await asyncio.sleep(hours * 3600)
        assert len(ledger.calls) <= hours * 3600 / BACKOFFS.last_write.longest + 10
        assert len(caplog.records) == 1 and error.message in caplog.text
        assert recorder.find_unrecorded(run.id) is run
        ledger.away = None
        await asyncio.sleep(BACKOFFS.last_write.longest)
        assert recorder.find_unrecorded(run.id) is None
        await recorder.close()

    in_virtual_time(work)


async def test_the_ends_of_any_number_of_runs_are_recorded_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As when a server stops that has many waiting."""
    ledger = FakeLedger()
    recorder, runs = RunRecorder(ledger, BACKOFFS.last_write), [ended(number) for number in range(300)]
    for run in runs:
        ledger.runs[run.id] = replace(run.report(), state=State.QUEUED)
    await asyncio.gather(*map(recorder.record_end, runs))
    assert all(one.state is State.FAILED for one in ledger.runs.values())
    assert not caplog.records


def test_the_ends_of_many_runs_that_cannot_be_recorded_are_not_kept_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        ledger = FakeLedger()
        ledger.away = REFUSED
        recorder, runs = RunRecorder(ledger, BACKOFFS.last_write), [ended(number) for number in range(300)]
        for run in runs:
            await recorder.record_end(run)
        await asyncio.sleep(2 * BACKOFFS.last_write.longest)  # those that were given up have noticed
        kept = [run for run in runs if recorder.find_unrecorded(run.id)]
        assert kept == runs[-module.MAX_UNRECORDED :]
        assert len([*recorder._recording]) == module.MAX_UNRECORDED
        assert "run-0 is given up" in caplog.text
        ledger.away = None
        for run in runs:
            ledger.runs[run.id] = replace(run.report(), state=State.QUEUED)
        await asyncio.sleep(2 * BACKOFFS.last_write.longest)
        recorded: list[RunReport] = [one for one in ledger.runs.values() if one.state.final]
        assert len(recorded) == module.MAX_UNRECORDED
        await recorder.close()

    in_virtual_time(work)


async def test_the_ledger_is_told_which_rows_are_unconfirmed_while_a_run_is_in_progress() -> None:
    """Of a server that is killed, nothing else tells which they were."""
    ledger = FakeLedger()
    run = ActiveRun("5d1b2a9e-0000-4000-8000-000000000000", StoredFile("a", 1, "h"), Parameters())
    ledger.runs[run.id] = run.report()
    run.clock.start()
    run.shipment().tracker.sent(1, 7, at=0.0)
    async with RunRecorder(ledger, QUICK.last_write).record_progress(run):
        await until(lambda: ledger.runs[run.id].counts.published == 7)
    assert ledger.runs[run.id].unconfirmed_rows == "1-7"
    assert run.report().unconfirmed_rows == ""
