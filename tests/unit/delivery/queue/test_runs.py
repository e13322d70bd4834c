"""Runs from upload to verdict: first come, first served, one at a time, and each recorded as it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.delivery.queue import recorder
from promise_pub.delivery.queue import runs as module
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import (
    BrokerUnreachable,
    ConsumerStalled,
    DatabaseUnavailable,
    NotClearable,
    NoUsableRow,
    ServerStopping,
    StoredFileError,
    TooManyWaiting,
)
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import MAX_REJECTS, State, Verdict
from promise_pub.retries import Backoff
from tests.fakes import until
from tests.house import BATCH, QUICK, ROWS, House

BACKOFFS = replace(QUICK, database=Backoff(0.01, 0.01, within=0.1))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads", backoffs=BACKOFFS)
    async with house.runs:
        yield house


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PROGRESS_EVERY", 0.01)


@pytest.mark.parametrize("mode", Mode)
async def test_a_run_comes_to_its_verdict_and_is_recorded(house: House, mode: Mode) -> None:
    text = b"Ann,ann@x\nonly one field\nBob,bob@x\nAnn again,ann@x\n"
    run = await house.finished(text, Parameters(mode=mode))
    report = house.runs.report(run)
    assert (report.state, report.verdict, report.error) == (State.COMPLETED, Verdict.KEPT, None)
    assert report.explanation == ("1 row repeats a mail that was saved before",)
    assert (report.counts.read, report.counts.rejected, report.counts.confirmed) == (4, 1, 3)
    assert report.session and (report.session.received, report.session.saved) == (3, 2)
    assert report.db_count == 2
    assert house.recorded(run) == report
    (rejected,) = await house.ledger.list_rejects(run.id, 10)
    assert (rejected.line, rejected.excerpt) == (2, "only one field")
    assert house.runs.find(run.id) is None  # it is the ledger's now


async def test_the_same_file_again_is_explained_by_what_employees_held(house: House) -> None:
    await house.finished()
    report = house.runs.report(await house.finished())
    assert (report.verdict, report.db_count) == (Verdict.KEPT, 3)
    assert report.explanation == ("3 rows: employees held the mail before the run",)


async def test_a_consumer_that_saves_elsewhere_has_nothing_explained_by_employees(
    house: House,
) -> None:
    house.ledger.employees.append("ann@x")
    house.consumer.employees = ["bob@x"]  # a table of its own: one row is not saved, for a reason nobody can see
    report = house.runs.report(await house.finished())
    assert (report.verdict, report.db_count) == (Verdict.UNKNOWN, 1)
    assert report.session and (report.session.received, report.session.saved) == (3, 2)


async def test_runs_go_first_come_first_served_and_one_at_a_time(house: House) -> None:
    async with house.holding("create"):
        first = await house.submit()
        await until(lambda: house.consumer.calls == ["create"])
        rest = [await house.submit(ROWS.replace(b"@", b"%d@" % n)) for n in range(4)]
        assert [house.runs.report(run).position for run in (first, *rest)] == [None, 1, 2, 3, 4]
        assert [house.state(run) for run in rest] == [State.QUEUED] * 4
        assert all(house.runs.find(run.id) is run for run in (first, *rest))
    order: list[str] = []
    for run in (first, *rest):
        asyncio.create_task(run.done.wait()).add_done_callback(lambda _, run=run: order.append(run.id))
    await until(lambda: len(order) == 5)  # a callback comes a few turns of the loop after its event
    assert order == [run.id for run in (first, *rest)]
    assert house.consumer.calls == ["create", "process batch", "remove"] * 5
    starts = [(r.started_at, r.finished_at) for r in map(house.runs.report, (first, *rest))]
    assert all(before[1] <= after[0] for before, after in zip(starts, starts[1:], strict=False))


@pytest.mark.parametrize(
    ("step", "error", "code"),
    [
        ("create", ConsumerStalled("it stalled"), "consumer_stalled"),
        ("remove", ConsumerStalled("it stalled"), "consumer_stalled"),
        ("process batch", ZeroDivisionError("a fault of ours"), "internal"),
        # Libraries cancel who waits for what they close: nobody stopped this run.
        ("remove", asyncio.CancelledError("a fault of ours"), "internal"),  # type: ignore[list-item]
    ],
)
async def test_a_failed_run_does_not_stop_the_next(
    house: House, step: str, error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.consumer.fail[step] = error
    failed = await house.finished()
    house.consumer.fail.clear()
    after = await house.finished()
    report = house.recorded(failed)
    assert (report.state, report.verdict, report.error.code) == (State.FAILED, None, code)
    assert house.state(after) is State.COMPLETED
    assert not house.consumer.sessions
    if code == "internal":
        assert "a fault of ours" in caplog.text  # in the log, and not in what the client reads
        assert "fault of ours" not in report.error.message


async def test_a_broker_that_is_away_fails_the_run_and_asks_the_consumer_nothing(
    house: House,
) -> None:
    house.broker.away = BrokerUnreachable()
    run = await house.finished()
    assert house.recorded(run).error.code == "broker_unreachable"
    assert house.consumer.calls == []


async def test_a_connection_that_stays_lost_is_told_with_the_exact_count(tmp_path: Path) -> None:
    house = House(tmp_path / "uploads", backoffs=replace(BACKOFFS, broker=Backoff(0.0, 0.0, within=0.0)))
    house.broker.lose_after = 2
    async with house.runs:
        report = house.runs.report(await house.finished())
    assert report.error and report.error.code == "broker_lost"
    assert "2 of 3" in report.error.message or report.counts.confirmed == 2


async def test_a_run_whose_file_is_gone_fails(house: House) -> None:
    async with house.holding("create"):
        await house.submit()
        waiting = await house.submit()
        house.uploads.path(waiting.id).unlink()
    await asyncio.wait_for(waiting.done.wait(), 30)
    assert house.recorded(waiting).error.code == "stored_file"
    assert not house.consumer.sessions


async def test_clear_happens_when_the_turn_has_come_and_not_before(house: House) -> None:
    async with house.holding("process batch"):
        first = await house.submit()
        await until(lambda: "process batch" in house.consumer.calls)
        clearing = await house.submit(b"Dan,dan@x\n", Parameters(mode=Mode.BATCH, clear=True))
        await asyncio.sleep(0.02)
        assert "clear_employees" not in house.ledger.calls
    await asyncio.wait_for(clearing.done.wait(), 30)
    assert house.recorded(first).db_count == 3
    assert house.recorded(clearing).db_count == 1
    assert house.ledger.calls.count("clear_employees") == 1
    assert house.state(clearing) is State.COMPLETED


async def test_a_run_that_may_not_clear_is_none(house: House) -> None:
    house.ledger.not_clearable = NotClearable()
    with pytest.raises(NotClearable):
        await house.submit(parameters=Parameters(clear=True))
    assert not house.ledger.runs and not [*house.folder.iterdir()]
    assert (await house.finished()).report().state is State.COMPLETED


@pytest.mark.usefixtures("quick")
async def test_a_run_that_cannot_clear_touches_nobody(house: House) -> None:
    plain = house.ledger.clear_employees

    async def refuse(_: object) -> None:
        raise DatabaseUnavailable

    house.ledger.clear_employees = refuse  # type: ignore[method-assign]
    run = await house.finished(parameters=Parameters(clear=True))
    house.ledger.clear_employees = plain  # type: ignore[method-assign]
    assert house.recorded(run).error.code == "database_unavailable"
    assert house.consumer.calls == []


@pytest.mark.parametrize("text", [b"", b"\n\n", b"one\n", b"a,b,c\n" * 500, b"\x89PNG\r\n\x1a\n\x00"])
async def test_a_file_without_a_usable_row_is_no_run(house: House, text: bytes) -> None:
    with pytest.raises(NoUsableRow) as caught:
        await house.submit(text)
    assert len(caught.value.rejected) <= 20
    assert bool(caught.value.rejected) is bool(text.strip())
    assert list(house.folder.iterdir()) == [] and not house.ledger.runs
    assert (await house.finished()).report().state is State.COMPLETED


async def test_without_a_ledger_there_is_no_run_and_no_file(house: House) -> None:
    house.ledger.away = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await house.submit()
    assert list(house.folder.iterdir()) == []
    assert house.consumer.calls == []
    house.ledger.away = None
    assert (await house.finished()).report().state is State.COMPLETED


@pytest.mark.usefixtures("quick")
async def test_a_ledger_that_is_away_for_a_while_does_not_end_a_run(house: House) -> None:
    async with house.holding("process batch"):
        run = await house.submit()
        await until(lambda: "process batch" in house.consumer.calls)
        house.ledger.away = DatabaseUnavailable()
        tried = len(house.ledger.calls)
        await until(lambda: len(house.ledger.calls) > tried + 2)
        house.ledger.away = None
    await asyncio.wait_for(run.done.wait(), 30)
    assert house.recorded(run).state is State.COMPLETED


@pytest.mark.usefixtures("quick")
async def test_a_run_whose_end_cannot_be_recorded_stays_findable_from_its_end_on(
    house: House,
) -> None:
    async with house.holding("remove"):
        run = await house.submit()
        await until(lambda: "remove" in house.consumer.calls)
        house.ledger.away = DatabaseUnavailable("gone")
    await asyncio.wait_for(run.done.wait(), 30)
    found = house.runs.find(run.id)
    assert found is run and house.runs.report(found).state is State.FAILED
    assert house.runs.find(str(uuid4())) is None
    house.ledger.away = None
    assert (await house.finished(b"Eve,eve@x\n")).report().state is State.COMPLETED


@pytest.mark.usefixtures("quick")
async def test_an_error_nobody_foresaw_in_the_ledger_ends_neither_the_waiting_nor_the_worker(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    plain = house.ledger.write_run

    async def burst(*_: object) -> None:
        raise ZeroDivisionError("in the ledger")

    house.ledger.write_run = burst  # type: ignore[method-assign]
    run = await house.finished()
    house.ledger.write_run = plain  # type: ignore[method-assign]
    assert house.runs.find(run.id) is run
    assert "in the ledger" in caplog.text
    assert (await house.finished(b"Eve,eve@x\n")).report().state is State.COMPLETED


async def test_progress_is_written_at_most_twice_a_second_and_never_after_the_end(
    house: House,
) -> None:
    text = b"".join(b"N%d,%d@x\n" % (n, n) for n in range(24))
    run = await house.finished(text, Parameters(mode=Mode.BATCH, rate=20))
    writes = len(house.ledger.writes)
    await asyncio.sleep(0.6)
    assert len(house.ledger.writes) == writes
    at = [when for when, _ in house.ledger.writes]
    assert all(b - a >= 0.49 for a, b in zip(at, at[1:-1], strict=False))  # but for its end
    assert len(at) >= 3
    assert [report.state.final for _, report in house.ledger.writes] == [False] * (writes - 1) + [True]
    confirmed = [report.counts.confirmed for _, report in house.ledger.writes]
    assert confirmed == sorted(confirmed) and 0 < confirmed[-2] < confirmed[-1] == 24
    assert house.state(run) is State.COMPLETED


async def test_progress_that_is_slow_to_write_does_not_come_after_the_end(house: House) -> None:
    house.ledger.slow = 0.03
    run = await house.finished()
    await asyncio.sleep(0.1)
    assert house.ledger.writes[-1][1].state is State.COMPLETED
    assert house.recorded(run).state is State.COMPLETED


async def test_of_rejected_rows_ten_thousand_are_stored_and_all_are_counted(house: House) -> None:
    run = await house.finished(b"one field\n" * (MAX_REJECTS + 500) + ROWS)
    assert house.recorded(run).counts.rejected == MAX_REJECTS + 500
    stored = await house.ledger.list_rejects(run.id, 1 << 30)
    assert [row.line for row in stored] == list(range(1, MAX_REJECTS + 1))
    assert house.recorded(run).verdict is Verdict.KEPT


class SlowToKeep:
    """A house whose uploads are kept when `go_on` is set, or not at all."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder, max_waiting=0)
        self.go_on = asyncio.Event()
        self.fails = False
        self._keep = self.house.uploads.keep
        self._asked: asyncio.Queue[str] = asyncio.Queue()
        self.house.uploads.keep = self._slowly  # type: ignore[method-assign]

    async def _slowly(self, run_id: str) -> None:
        self._asked.put_nowait(run_id)
        await self.go_on.wait()
        if self.fails:
            raise StoredFileError
        await self._keep(run_id)

    async def asked(self) -> str:
        """The run whose file is to be kept."""
        return await asyncio.wait_for(self._asked.get(), 30)


@pytest.fixture
async def slow_to_keep(tmp_path: Path) -> AsyncIterator[SlowToKeep]:
    slow = SlowToKeep(tmp_path / "uploads")
    async with slow.house.runs:
        yield slow


class TestWaiting:
    async def test_no_more_wait_than_may(self, tmp_path: Path) -> None:
        house = House(tmp_path / "uploads", max_waiting=2)
        async with house.runs:
            async with house.holding("create"):
                runs = [await house.submit() for _ in range(3)]
                with pytest.raises(TooManyWaiting):
                    house.runs.admit()
            await asyncio.wait_for(runs[-1].done.wait(), 30)
            house.runs.admit()

    async def test_no_more_wait_than_may_however_many_come_at_once(self, tmp_path: Path) -> None:
        """All of them were admitted before the upload; the ledger takes its time."""
        house = House(tmp_path / "uploads", max_waiting=2)
        house.ledger.slow = 0.02
        async with house.runs, house.holding("create"):
            outcomes = await asyncio.gather(*(house.submit() for _ in range(8)), return_exceptions=True)
            kinds = [type(outcome) for outcome in outcomes]
            assert kinds.count(ActiveRun) == 3 and kinds.count(TooManyWaiting) == 5
            assert len(list(house.folder.iterdir())) == 3

    async def test_a_run_whose_file_is_slow_to_be_kept_counts_as_waiting(self, slow_to_keep: SlowToKeep) -> None:
        house = slow_to_keep.house
        coming = asyncio.create_task(house.submit())
        run_id = await slow_to_keep.asked()
        found = house.runs.find(run_id)
        assert found and house.state(found) is State.QUEUED
        with pytest.raises(TooManyWaiting):
            house.runs.admit()
        slow_to_keep.go_on.set()
        assert await coming is found
        await asyncio.wait_for(found.done.wait(), 30)
        assert house.recorded(found).state is State.COMPLETED
        house.runs.admit()

    async def test_a_run_that_does_not_wait_yet_is_cancelled(self, slow_to_keep: SlowToKeep) -> None:
        house = slow_to_keep.house
        coming = asyncio.create_task(house.submit())
        run_id = await slow_to_keep.asked()
        cancelled = await house.runs.cancel(run_id)
        slow_to_keep.go_on.set()
        assert await coming is cancelled and cancelled.done.is_set()
        assert house.recorded(cancelled).state is State.CANCELLED
        assert house.consumer.calls == []
        house.runs.admit()

    async def test_a_run_whose_file_is_not_kept_makes_room(self, slow_to_keep: SlowToKeep) -> None:
        house = slow_to_keep.house
        slow_to_keep.fails = True
        coming = asyncio.create_task(house.submit())
        run_id = await slow_to_keep.asked()
        slow_to_keep.go_on.set()
        with pytest.raises(StoredFileError):
            await coming
        assert house.ledger.runs[run_id].state is State.FAILED
        house.runs.admit()

    async def test_where_none_may_wait_one_still_goes(self, tmp_path: Path) -> None:
        house = House(tmp_path / "uploads", max_waiting=0)
        async with house.runs:
            for _ in range(2):
                assert (await house.finished()).report().state is State.COMPLETED
            async with house.holding("create"):
                await house.submit()
                with pytest.raises(TooManyWaiting):
                    house.runs.admit()


UNANSWERED = " The consumer was asked for a session and named none: it may have created one nevertheless."


def was_interrupted(report: Any, state: str, more: str = "") -> None:
    assert (report.state, report.verdict) == (State.INTERRUPTED, None)
    assert (report.error.code, report.error.message) == (
        "interrupted",
        f"The server was stopped while the run was {state}.{more}",
    )
    assert report.finished_at


class TestStop:
    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What ends, ends because it has to, and not because time is up."""
        monkeypatch.setattr(module, "STOP_TIMEOUT", 3600.0)

    @pytest.mark.parametrize(
        ("step", "state"),
        [
            ("create", "negotiating"),
            ("process live", "negotiating"),
            ("process batch", "draining"),
            ("remove", "draining"),
        ],
    )
    async def test_the_current_run_is_interrupted_and_its_session_removed(
        self, house: House, step: str, state: str
    ) -> None:
        house.consumer.hang.add(step)
        mode = Mode.LIVE if step == "process live" else Mode.BATCH
        run = await house.submit(parameters=Parameters(mode=mode))
        await until(lambda: step in house.consumer.calls)
        await asyncio.wait_for(house.runs.stop(), 30)
        assert run.done.is_set()
        more = UNANSWERED if step == "create" else ""
        was_interrupted(house.recorded(run), state, more)
        assert house.consumer.calls.count("abandon") == (0 if step == "create" else 1)
        assert house.consumer.sessions == {} and house.broker.connections == 0

    async def test_a_run_in_the_midst_of_publishing_is_told_with_its_exact_count(self, house: House) -> None:
        text = b"".join(b"N%d,%d@x\n" % (n, n) for n in range(1_000))
        run = await house.submit(text, Parameters(mode=Mode.LIVE, rate=100))
        await until(lambda: run.report().counts.confirmed >= 10)
        await asyncio.wait_for(house.runs.stop(), 30)
        report = house.recorded(run)
        was_interrupted(report, "publishing")
        assert 10 <= report.counts.confirmed == report.counts.published < 1_000

    async def test_a_cancellation_that_comes_out_as_another_error_still_stops(self, house: House) -> None:
        plain = house.consumer._call

        async def call(name: str, sent: int | None = None) -> None:
            try:
                await plain(name, sent)
            except asyncio.CancelledError:
                raise ConsumerStalled from None

        house.consumer._call = call  # type: ignore[method-assign]
        house.consumer.hang.add("remove")
        run, waiting = await house.submit(), await house.submit()
        await until(lambda: "remove" in house.consumer.calls)
        await asyncio.wait_for(house.runs.stop(), 30)
        assert house.recorded(run).state is State.FAILED
        assert house.recorded(waiting).state is State.INTERRUPTED

    async def test_those_that_wait_are_interrupted_too(self, house: House) -> None:
        async with house.holding("create"):
            runs = [await house.submit() for _ in range(3)]
            await until(lambda: house.consumer.calls)
            await asyncio.wait_for(house.runs.stop(), 30)
        was_interrupted(house.recorded(runs[0]), "negotiating", UNANSWERED)
        for run in runs[1:]:
            was_interrupted(house.recorded(run), "queued")
            assert run.done.is_set() and house.runs.report(run).position is None
        assert house.consumer.calls == ["create"]

    async def test_nothing_is_taken_any_more(self, house: House) -> None:
        await house.runs.stop()
        await house.runs.stop()
        with pytest.raises(ServerStopping):
            house.runs.admit()

    async def test_an_upload_that_ends_after_the_stop_is_no_run(self, house: House) -> None:
        run_id = house.runs.admit()
        async with house.uploads.receive(run_id) as upload:
            await upload.write(ROWS)
            stored = await upload.finish("x")
        await house.runs.stop()
        with pytest.raises(ServerStopping):
            await house.runs.submit(run_id, stored, BATCH)
        assert list(house.folder.iterdir()) == [] and not house.ledger.runs

    async def test_a_run_that_the_ledger_was_taking_in_is_interrupted(self, house: House) -> None:
        house.ledger.slow = 0.05
        submitting = asyncio.create_task(house.submit())
        await until(lambda: "open_run" in house.ledger.calls)
        await house.runs.stop()
        run = await submitting
        assert run.done.is_set()
        was_interrupted(house.recorded(run), "queued")

    async def test_a_run_whose_end_is_being_written_keeps_it(self, house: House) -> None:
        async with house.holding("remove"):
            run = await house.submit()
            await until(lambda: "remove" in house.consumer.calls)
            house.ledger.slow = 0.05
        await until(lambda: run.report().state.final and house.ledger.calls[-1] == "write_run")
        await asyncio.wait_for(house.runs.stop(), 30)
        self.ended_by_itself(house, run)

    @pytest.mark.usefixtures("quick")
    async def test_a_run_keeps_its_end_while_its_progress_is_brought_to_one(self, house: House) -> None:
        plain = house.ledger.write_run

        async def hard_to_cancel(*_: object) -> None:
            house.ledger.write_run = plain  # type: ignore[method-assign]
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0.05)

        async with house.holding("remove"):
            run = await house.submit()
            await until(lambda: "remove" in house.consumer.calls)
            house.ledger.write_run = hard_to_cancel  # type: ignore[method-assign]
            await until(lambda: house.ledger.write_run == plain)
        await until(lambda: run.report().state.final)
        assert not self.is_recorded(house, run)
        await asyncio.wait_for(house.runs.stop(), 30)
        self.ended_by_itself(house, run)

    @staticmethod
    def is_recorded(house: House, run: ActiveRun) -> bool:
        return bool(house.recorded(run).state.final)

    @staticmethod
    def ended_by_itself(house: House, run: ActiveRun) -> None:
        assert run.done.is_set()
        report = house.recorded(run)
        assert (report.state, report.verdict) == (State.COMPLETED, Verdict.KEPT)

    @pytest.mark.usefixtures("quick")
    async def test_without_a_ledger_it_stops_as_well(self, house: House) -> None:
        async with house.holding("create"):
            runs = [await house.submit() for _ in range(2)]
            await until(lambda: house.consumer.calls)
            house.ledger.away = DatabaseUnavailable()
            await asyncio.wait_for(house.runs.stop(), 30)
        for run in runs:
            assert run.done.is_set() and house.runs.find(run.id) is run
            assert house.state(run) is State.INTERRUPTED

    async def test_a_run_that_does_not_end_in_time_is_left_and_the_waiters_are_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "STOP_TIMEOUT", 0.05)
        house = House(tmp_path / "uploads")

        async def never(*_: Any) -> bool:
            await asyncio.Event().wait()
            return True

        house.consumer.abandon = never  # type: ignore[method-assign]
        house.consumer.hang.add("remove")
        async with asyncio.timeout(30), house.runs:
            run = await house.submit()
            await until(lambda: "remove" in house.consumer.calls)
            await house.runs.stop()
            assert "did not end within" in caplog.text
        assert run.done.is_set()

    async def test_a_session_that_was_not_removed_is_named(self, house: House) -> None:
        house.consumer.hang.add("remove")
        house.consumer.abandons = False
        run = await house.submit()
        await until(lambda: "remove" in house.consumer.calls)
        await house.runs.stop()
        (left,) = house.consumer.sessions
        assert left in house.recorded(run).error.message
