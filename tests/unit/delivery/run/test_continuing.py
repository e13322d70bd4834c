"""Runs that are cancelled, interrupted and resumed; sessions and ledgers that go away while they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.queue import recorder
from promise_pub.delivery.run import execute, ledger_gate
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import ConsumerStalled, DatabaseUnavailable, NotCancellable, NotResumable, RunNotFound, RunTaken
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import RunReport, SessionView, State, Verdict
from promise_pub.resume_state import Checkpoint, ResumeState
from tests.fakes import until
from tests.house import BATCH, QUICK, House

STEPS = {
    Mode.LIVE: ["create", "process live", "remove"],
    Mode.BATCH: ["create", "process batch", "remove"],
}
CASES = [(mode, step) for mode, steps in STEPS.items() for step in steps]


def people(count: int) -> bytes:
    return b"".join(b"N%d,%d@x\n" % (n, n) for n in range(count))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PROGRESS_EVERY", 0.005)
    monkeypatch.setattr(execute, "read_batches", partial(read_batches, chunk_size=64))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads", backoffs=QUICK)
    async with house.runs:
        yield house


def adds_up(report: RunReport) -> None:
    counts = report.counts
    parts = (counts.confirmed, counts.returned, counts.nacked, counts.in_flight, counts.unpublished)
    assert min(parts) >= 0 and sum(parts) == counts.accepted, report
    assert sum(one.rows for one in report.resends) == counts.resent


async def ended(run: ActiveRun) -> RunReport:
    await asyncio.wait_for(run.done.wait(), 30)
    report = run.report()
    adds_up(report)
    return report


class TestCancel:
    @pytest.mark.parametrize(("mode", "step"), CASES)
    async def test_at_any_step_the_session_is_removed_and_the_counts_are_right(
        self, house: House, mode: Mode, step: str
    ) -> None:
        async with house.holding(step):
            run = await house.submit(people(20), Parameters(mode=mode))
            await until(lambda: step in house.consumer.calls)
            assert await house.runs.cancel(run.id) is run
            report = await ended(run)
        assert (report.state, report.error and report.error.code) == (State.CANCELLED, "cancelled")
        assert report.verdict is None and house.recorded(run) == report
        assert report.counts.confirmed == (20 if step in ("process batch", "remove") else 0)
        if step != "create":  # which was cancelled before anybody knew of a session
            assert not house.consumer.sessions
        assert (await house.finished(people(3))).report().state is State.COMPLETED

    async def test_while_it_publishes(self, house: House) -> None:
        run = await house.submit(people(200), Parameters(mode=Mode.BATCH, rate=200))
        await until(lambda: run.counts().confirmed > 5)
        await house.runs.cancel(run.id)
        report = await ended(run)
        assert report.state is State.CANCELLED and not house.consumer.sessions
        assert 5 < report.counts.confirmed == report.counts.published < 200
        assert report.resumable

    async def test_while_it_waits(self, house: House) -> None:
        async with house.holding("create"):
            first, second, third = [await house.submit(people(3)) for _ in range(3)]
            await until(lambda: house.consumer.calls)
            await house.runs.cancel(second.id)
            report = await ended(second)
            assert (report.state, report.started_at) == (State.CANCELLED, None)
            assert house.runs.report(third).position == 1
        assert (await ended(third)).state is State.COMPLETED
        assert (await ended(first)).state is State.COMPLETED
        assert house.consumer.calls.count("create") == 2

    async def test_what_has_ended_or_never_was_cannot_be(self, house: House) -> None:
        run = await house.finished()
        with pytest.raises(NotCancellable, match="completed"):
            await house.runs.cancel(run.id)
        with pytest.raises(RunNotFound):
            await house.runs.cancel("5d1b2a9e-0000-4000-8000-00000000000b")

    async def test_twice_is_once(self, house: House) -> None:
        async with house.holding("remove"):
            run = await house.submit(people(3))
            await until(lambda: "remove" in house.consumer.calls)
            await asyncio.gather(house.runs.cancel(run.id), house.runs.cancel(run.id))
            assert (await ended(run)).state is State.CANCELLED
        assert house.consumer.calls.count("abandon") == 1

    async def test_a_session_that_the_consumer_does_not_remove_is_named(self, house: House) -> None:
        house.consumer.abandons = False
        async with house.holding("remove"):
            run = await house.submit(people(3))
            await until(lambda: "remove" in house.consumer.calls)
            await house.runs.cancel(run.id)
            report = await ended(run)
        (left,) = house.consumer.sessions
        assert report.error and left in report.error.message


class TestResume:
    @pytest.mark.parametrize("way", ["cancelled", "interrupted", "failed"])
    @pytest.mark.parametrize("mode", Mode)
    async def test_a_run_goes_on_in_a_new_session_and_every_row_is_there_once(
        self, tmp_path: Path, way: str, mode: Mode
    ) -> None:
        house = House(tmp_path / "uploads", backoffs=QUICK)
        async with house.runs:
            run = await house.submit(people(60), Parameters(mode=mode, rate=300))
            await until(lambda: run.counts().confirmed > 20)
            if way == "cancelled":
                await house.runs.cancel(run.id)
            elif way == "interrupted":
                await house.runs.stop()
            else:
                house.uploads.path(run.id).rename(tmp_path / "away")
                house.consumer.fail["remove"] = ConsumerStalled("it stalled")
            report = await ended(run)
            if way == "failed":
                (tmp_path / "away").rename(house.uploads.path(run.id))
                house.consumer.fail.clear()
        assert report.state.value == way and report.resumable
        first = report.session
        async with house.make_runs() as runs:
            report = await ended(await runs.resume(run.id))
            assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT), report
            assert report.counts.confirmed == 60 and report.error is None
            assert sorted(house.ledger.employees) == sorted(f"{n}@x" for n in range(60))
            assert report.session != first and [one.session for one in report.earlier] == [first]
            assert report.earlier[0].first == 1
            assert house.ledger.runs[run.id] == report
            with pytest.raises(NotResumable, match="completed"):
                await runs.resume(run.id)

    @pytest.mark.parametrize("mode", Mode)
    async def test_a_run_whose_server_was_killed_goes_on_in_the_session_that_lives(
        self, tmp_path: Path, mode: Mode
    ) -> None:
        house = House(tmp_path / "uploads", backoffs=QUICK)
        async with house.runs:
            run = await house.submit(people(60), Parameters(mode=mode, rate=300))
            await until(lambda: run.counts().confirmed > 20)
            await until(lambda: house.recorded(run).resume_state.checkpoint.row > 5)
            killed = house.ledger.runs[run.id]
            sessions, queues = {**house.consumer.sessions}, {**house.broker.queues}
            uuids = [*sessions]
            await house.runs.stop()
        # What a kill -9 leaves: the ledger as it was, the session alive, its queue full.
        house.ledger.runs[run.id] = replace(killed, state=State.INTERRUPTED)
        house.consumer.sessions, house.broker.queues = sessions, queues
        async with house.make_runs() as runs:
            report = await ended(await runs.resume(run.id))
        assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT), report
        assert report.earlier == () and report.session and report.session.uuid in uuids
        assert report.counts.confirmed == 60
        assert report.counts.resent == killed.counts.published - killed.resume_state.checkpoint.row
        assert sorted(house.ledger.employees) == sorted(f"{n}@x" for n in range(60))

    async def test_a_run_that_never_began_is_cleared_for_when_it_does(self, house: House) -> None:
        house.ledger.employees.append("old@x")
        async with house.holding("create"):
            await house.submit(people(3))
            waiting = await house.submit(people(3), replace(BATCH, clear=True))
            await house.runs.cancel(waiting.id)
        await house.runs.resume(waiting.id)
        await until(lambda: house.recorded(waiting).state is State.COMPLETED)
        assert house.recorded(waiting).db_count == 3

    async def test_what_was_cleared_for_already_is_not_cleared_again(self, house: House) -> None:
        run = await house.submit(people(60), replace(BATCH, clear=True, rate=300))
        await until(lambda: run.counts().confirmed > 20)
        await house.runs.cancel(run.id)
        await ended(run)
        house.ledger.employees.append("another@x")
        await ended(await house.runs.resume(run.id))
        assert house.ledger.calls.count("clear_employees") == 1

    async def test_a_file_that_is_not_what_it_was_is_refused(self, house: House) -> None:
        house.consumer.fail["remove"] = ConsumerStalled("it stalled")
        run = await house.finished(people(3))
        house.uploads.path(run.id).write_bytes(people(4))
        with pytest.raises(NotResumable, match="another length"):
            await house.runs.resume(run.id)
        house.uploads.path(run.id).unlink()
        with pytest.raises(NotResumable, match="is missing"):
            await house.runs.resume(run.id)

    async def test_a_run_is_resumed_once_however_many_ask(self, house: House) -> None:
        house.consumer.fail["remove"] = ConsumerStalled("it stalled")
        run = await house.finished(people(3))
        house.consumer.fail.clear()
        outcomes: list[Any] = await asyncio.gather(
            *(house.runs.resume(run.id) for _ in range(5)), return_exceptions=True
        )
        resumed = [one for one in outcomes if isinstance(one, ActiveRun)]
        assert len(resumed) == 1
        assert all(isinstance(one, NotResumable) for one in outcomes if one not in resumed)
        assert (await ended(resumed[0])).state is State.COMPLETED

    async def test_one_that_is_in_progress_cannot_be(self, house: House) -> None:
        async with house.holding("create"):
            run = await house.submit(people(3))
            with pytest.raises(NotResumable, match="in progress"):
                await house.runs.resume(run.id)

    async def test_a_run_that_has_just_ended_is_taken_for_what_it_is(self, house: House) -> None:
        """Its end is a moment ahead of the ledger, which is slow here."""
        house.ledger.slow = 0.1
        run = await house.submit(people(3))
        await until(lambda: run.report().state.final)
        with pytest.raises(NotResumable, match="completed"):
            await house.runs.resume(run.id)

    async def test_rejected_rows_are_told_once_however_often_they_are_read(self, house: House) -> None:
        text = b"".join(b"N%d,%d@x\nno row %d\n" % (n, n, n) for n in range(60))
        run = await house.submit(text, Parameters(mode=Mode.BATCH, rate=300))
        await until(lambda: run.counts().confirmed > 20)
        await house.runs.cancel(run.id)
        await ended(run)
        report = await ended(await house.runs.resume(run.id))
        assert (report.counts.read, report.counts.rejected) == (120, 60)
        assert len(await house.ledger.list_rejects(run.id, 1000)) == 60
        assert report.verdict is Verdict.KEPT


class TestLosses:
    @pytest.mark.parametrize("mode", Mode)
    async def test_a_lost_connection_costs_no_row(self, house: House, mode: Mode) -> None:
        run = await house.submit(people(60), Parameters(mode=mode, rate=300))
        for confirmed in (5, 20, 40):
            await until(lambda confirmed=confirmed: run.counts().confirmed > confirmed)
            house.broker.cut()
            adds_up(run.report())
        report = await ended(run)
        assert (report.verdict, report.counts.confirmed) == (Verdict.KEPT, 60)
        assert len(house.ledger.employees) == 60 and report.earlier == ()

    @pytest.mark.parametrize("mode", Mode)
    async def test_a_queue_that_is_gone_when_the_broker_is_back_takes_a_new_session(
        self, house: House, mode: Mode
    ) -> None:
        run = await house.submit(people(60), Parameters(mode=mode, rate=300))
        await until(lambda: run.counts().confirmed > 20)
        house.broker.queues.clear()
        house.broker.cut()
        report = await ended(run)
        assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT), report
        assert report.counts.resent >= 20 and "new session" in report.resends[-1].reason
        assert sorted(house.ledger.employees) == sorted(f"{n}@x" for n in range(60))
        (earlier,) = report.earlier
        assert report.session and earlier.session.uuid != report.session.uuid

    async def test_a_queue_that_keeps_disappearing_ends_the_run(self, house: House) -> None:
        create = house.consumer.create

        async def create_and_lose() -> SessionView:
            session = await create()
            house.broker.queues.clear()
            asyncio.get_running_loop().call_later(0.01, house.broker.cut)
            return session

        house.consumer.create = create_and_lose  # type: ignore[method-assign]
        run = await house.submit(people(60), Parameters(mode=Mode.BATCH, rate=300))
        report = await ended(run)
        assert report.state is State.FAILED and report.error
        assert report.error.code == "session_lost"
        assert house.consumer.calls.count("create") == 5

    async def test_a_ledger_that_is_away_pauses_the_run(self, house: House) -> None:
        run = await house.submit(people(60), Parameters(mode=Mode.BATCH, rate=300))
        await until(lambda: run.counts().confirmed > 10)
        house.ledger.away = DatabaseUnavailable("gone")
        await until(lambda: run.ledger_gate.trouble)
        await asyncio.sleep(0.05)  # what had been let through
        held = run.counts().published
        await asyncio.sleep(0.1)
        assert run.counts().published == held < 60
        house.ledger.away = None
        report = await ended(run)
        assert (report.verdict, report.counts.confirmed) == (Verdict.KEPT, 60)

    async def test_one_that_stays_away_stops_the_run_and_hears_of_it_when_it_is_back(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ledger_gate, "LEDGER_PATIENCE", 0.05)
        run = await house.submit(people(60), Parameters(mode=Mode.BATCH, rate=300))
        await until(lambda: run.counts().confirmed > 10)
        house.ledger.away = DatabaseUnavailable("gone")
        report = await ended(run)
        assert (report.state, report.error and report.error.code) == (
            State.FAILED,
            "database_unavailable",
        )
        assert not house.consumer.sessions and house.runs.find(run.id) is run
        house.ledger.away = None
        await until(lambda: house.ledger.runs[run.id] == report)
        await until(lambda: house.runs.find(run.id) is None)
        assert (await ended(await house.runs.resume(run.id))).verdict is Verdict.KEPT

    async def test_a_run_that_another_server_has_taken_is_let_go(self, house: House) -> None:
        run = await house.submit(people(600), Parameters(mode=Mode.BATCH, rate=300))
        await until(lambda: run.counts().confirmed > 10)

        async def refuse(*_: object) -> None:
            raise RunTaken

        plain, house.ledger.write_run = house.ledger.write_run, refuse  # type: ignore[method-assign]
        await asyncio.wait_for(run.done.wait(), 30)
        assert run.report().state is State.INTERRUPTED
        assert house.consumer.sessions, "the other server may be continuing it"
        assert "abandon" not in house.consumer.calls
        assert house.runs.find(run.id) is None
        house.ledger.write_run = plain  # type: ignore[method-assign]


async def test_a_checkpoint_comes_back_from_the_ledger_as_it_was(house: House) -> None:
    run = await house.submit(people(60), Parameters(mode=Mode.BATCH, rate=300))
    await until(lambda: run.counts().confirmed > 30)
    await house.runs.cancel(run.id)
    report = await ended(run)
    assert report.resume_state == ResumeState(
        Checkpoint(
            row=report.resume_state.checkpoint.row,
            offset=people(report.resume_state.checkpoint.row).__len__(),
            line=report.resume_state.checkpoint.row + 1,
            read=report.resume_state.checkpoint.row,
            digest=report.resume_state.checkpoint.digest,
        ),
        employees=0,
        held_up_to=0,
        cleared=True,
    )
    assert 0 < report.resume_state.checkpoint.row <= report.counts.confirmed
