"""Runs that end before their time: no session stays without being named, and what is taken for known is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from promise_pub.consumer.session import ConsumerSession
from promise_pub.delivery.consumer_client.answers import parse_session
from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.ports import Watch
from promise_pub.delivery.queue import recorder, runs
from promise_pub.delivery.run import execute, protocol
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.delivery.run.sessions import last_processed_row
from promise_pub.delivery.telling import News
from promise_pub.errors import (
    ConsumerComplaint,
    ConsumerError,
    ConsumerGarbage,
    ConsumerRefused,
    ConsumerStalled,
    ConsumerTimeout,
    DatabaseUnavailable,
    NotResumable,
    RunDeleted,
    RunTaken,
)
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import RunReport, SessionView, State, Verdict
from tests.fakes import until
from tests.house import QUICK, House

LIVE = Parameters(mode=Mode.LIVE)
PROMPT = 30.0  # seconds a cancellation may take; what it must not wait for takes an hour here
ROWS = b"".join(b"N%d,%d@x\n" % (n, n) for n in range(60))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ABANDON", 3600.0)
    monkeypatch.setattr(recorder, "PROGRESS_EVERY", 0.005)
    monkeypatch.setattr(execute, "read_batches", partial(read_batches, chunk_size=64))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "uploads", backoffs=replace(BACKOFFS, broker=QUICK.broker))
    async with house.runs:
        yield house


async def ended(run: ActiveRun) -> RunReport:
    await asyncio.wait_for(run.done.wait(), 30)
    return run.report()


class SlowToRemove:
    """A consumer that takes its time to remove the session of a run that ended early, as often as it is asked."""

    def __init__(self, house: House, seconds: float) -> None:
        self.asked = asyncio.Event()
        self._plain = house.consumer.abandon
        self._seconds = seconds
        house.consumer.abandon = self.abandon  # type: ignore[method-assign]

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        self.asked.set()
        try:
            async with asyncio.timeout(within):
                await asyncio.sleep(self._seconds)
        except TimeoutError:
            return False
        return await self._plain(uuid, sent, watch, within)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told to hurry still has the time that an answer takes, on a machine that stands still for a while too."""
    monkeypatch.setattr(protocol, "HURRIED_ABANDON", 20.0)
    monkeypatch.setattr(runs, "CANCEL_AGAIN", 3600.0)


@pytest.mark.usefixtures("unhurried")
async def test_a_second_click_on_cancel_does_not_leave_the_session_behind(house: House) -> None:
    slow = SlowToRemove(house, 0.3)
    async with house.holding("remove"):
        run = await house.submit(ROWS, LIVE)
        await until(lambda: "remove" in house.consumer.calls)
        await house.runs.cancel(run.id)
        await asyncio.wait_for(slow.asked.wait(), 30)
        for _ in range(3):
            await house.runs.cancel(run.id)
            await asyncio.sleep(0.01)
        report = await ended(run)
    assert report.state is State.CANCELLED and report.error
    assert not house.consumer.sessions and "did not say" not in report.error.message


@pytest.mark.parametrize("way", ["cancelled", "interrupted"])
async def test_a_run_that_is_failing_can_be_ended_and_names_what_it_leaves(house: House, way: str) -> None:
    slow = SlowToRemove(house, 3600)
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    run = await house.submit(ROWS, LIVE)
    await asyncio.wait_for(slow.asked.wait(), 30)
    (left,) = house.consumer.sessions
    clock = asyncio.get_running_loop().time
    began = clock()
    await (house.runs.cancel(run.id) if way == "cancelled" else house.runs.stop())
    report = await ended(run)
    assert clock() - began < PROMPT
    assert report.state.value == way and report.error
    assert left in report.error.message
    assert house.recorded(run) == report


@pytest.mark.usefixtures("unhurried")
async def test_a_session_that_comes_to_be_while_its_run_is_cancelled_is_removed(
    house: House,
) -> None:
    plain = house.consumer.create
    coming = asyncio.Event()

    async def create_slowly() -> SessionView:
        session = await plain()
        coming.set()
        await asyncio.sleep(0.2)  # its answer is on the way
        return session

    house.consumer.create = create_slowly  # type: ignore[method-assign]
    run = await house.submit(ROWS, LIVE)
    await asyncio.wait_for(coming.wait(), 30)
    await house.runs.cancel(run.id)
    report = await ended(run)
    assert report.state is State.CANCELLED and not house.consumer.sessions


async def test_a_create_that_hangs_holds_no_cancellation(house: House) -> None:
    house.consumer.hang.add("create")
    run = await house.submit(ROWS, LIVE)
    await until(lambda: "create" in house.consumer.calls)
    clock = asyncio.get_running_loop().time
    began = clock()
    await house.runs.cancel(run.id)
    assert (await ended(run)).state is State.CANCELLED
    assert clock() - began < PROMPT


@pytest.mark.parametrize(
    ("error", "says"), [(RunTaken, "Another server on this database"), (RunDeleted, "Somebody deleted the run")]
)
async def test_a_run_that_another_server_has_taken_or_somebody_deleted_says_so(
    house: House, error: type[RunTaken], says: str
) -> None:
    run = await house.submit(ROWS, replace(LIVE, rate=100))
    await until(lambda: run.counts().confirmed > 5)

    async def refuse(*_: object) -> None:
        raise error

    house.ledger.write_run = refuse  # type: ignore[method-assign]
    report = await ended(run)
    assert report.state is State.INTERRUPTED and report.error
    assert report.error.message.startswith(says)


async def test_a_consumer_that_does_not_answer_may_still_have_the_session(house: House) -> None:
    """Another session beside one that lives would leave that behind, and nobody would know."""
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    house.consumer.abandons = False
    run = await house.submit(ROWS, LIVE)
    first = await ended(run)
    house.consumer.fail = {"get_session": ConsumerTimeout("no answer")}
    report = await ended(await house.runs.resume(run.id))
    assert report.error and report.error.code == "consumer_timeout"
    assert report.session == first.session and report.earlier == ()
    house.consumer.fail.clear()
    house.consumer.abandons = True
    report = await ended(await house.runs.resume(run.id))
    assert report.verdict is Verdict.KEPT and not house.consumer.sessions


@pytest.mark.parametrize("error", [ConsumerGarbage("[]"), ConsumerRefused("500")])
@pytest.mark.parametrize("removes", [True, False])
async def test_an_old_session_that_cannot_be_looked_at_is_removed_or_named_to_the_end(
    house: House, error: ConsumerError, removes: bool
) -> None:
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    house.consumer.abandons = False
    run = await house.submit(ROWS, LIVE)
    first = (await ended(run)).session
    house.consumer.fail = {"get_session": error}
    house.consumer.abandons = removes
    report = await ended(await house.runs.resume(run.id))
    assert first and report.verdict is Verdict.KEPT
    assert report.session and report.session.uuid != first.uuid
    assert [*house.consumer.sessions] == ([] if removes else [first.uuid])
    assert f"did not say that it removed the session {first.uuid}" in report.explanation[-1]
    (again,) = report.resends
    assert again.reason.startswith(f"The session could not be read ({error}); ")


async def test_an_old_session_that_the_consumer_does_not_know_is_said_to_have_ended(
    house: House,
) -> None:
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    run = await house.submit(ROWS, LIVE)
    await ended(run)
    house.consumer.fail = {"get_session": ConsumerComplaint("ERROR")}
    report = await ended(await house.runs.resume(run.id))
    (again,) = report.resends
    assert again.reason.startswith("The session had ended (ERROR); ")


async def test_a_session_that_the_run_goes_on_in_is_not_left_behind_any_more(house: House) -> None:
    house.consumer.fail["remove"] = ConsumerStalled("it stalled")
    house.consumer.abandons = False
    run = await house.submit(ROWS, LIVE)
    first = await ended(run)
    assert first.error and "did not say" in first.error.message
    house.consumer.fail.clear()
    report = await ended(await house.runs.resume(run.id))
    assert report.verdict is Verdict.KEPT and not house.consumer.sessions
    assert not any("did not say" in sentence for sentence in report.explanation)


class TestWhatIsKnown:
    def test_rows_in_the_consumers_hand_are_not_known_for_unusable_ones_behind_them(self) -> None:
        session = ConsumerSession("u", "h", datetime.now(UTC))
        for number in range(1, 7):
            mail = f"{number}@x" if number < 4 else "x" * 128
            body = json.dumps({"name": "n", "mail": mail}).encode()
            session.receive(f"run:{number}", body, redelivered=False)
        told = parse_session(json.dumps(session.as_json()), "/getSession/")
        assert (told.received, told.saved, told.invalid) == (6, 0, 3)
        assert last_processed_row(told, 0, 0) == 0
        session.settle(len(session.take_pending()), saved=3)
        told = parse_session(json.dumps(session.as_json()), "/getSession/")
        assert last_processed_row(told, 0, 0) == 3

    async def test_a_run_that_is_resumed_knows_that_it_does_not_know(self, house: House) -> None:
        house.consumer.fail["remove"] = ConsumerStalled("it stalled")
        house.consumer.abandons = False
        run = await house.submit(ROWS, LIVE)
        assert (await ended(run)).resume_state.resumed is False
        again = ActiveRun.resume(house.recorded(run))
        assert again.resume_state.resumed
        again.leave_session("It ended.")
        assert not again.resume_state.resumed


class TestALedgerThatIsCutOff:
    """It did what it was asked, and its answer was lost."""

    @staticmethod
    def cut_off(house: House, call: str) -> None:
        plain = getattr(house.ledger, call)

        async def unanswered(report: RunReport, news: News) -> None:
            await plain(report, news)
            setattr(house.ledger, call, plain)
            raise DatabaseUnavailable("The answer was lost.")

        setattr(house.ledger, call, unanswered)

    async def test_a_new_run_does_not_wait_for_ever(self, house: House) -> None:
        self.cut_off(house, "open_run")
        with pytest.raises(DatabaseUnavailable):
            await house.submit(ROWS, LIVE)
        (run_id,) = house.ledger.runs
        await until(lambda: house.ledger.runs[run_id].state is State.FAILED)
        await until(lambda: house.runs.find(run_id) is None)
        assert list(house.folder.iterdir()) == [] and not house.consumer.calls
        with pytest.raises(NotResumable, match="is missing"):
            await house.runs.resume(run_id)
        assert (await ended(await house.submit(ROWS, LIVE))).verdict is Verdict.KEPT

    async def test_a_run_that_was_to_be_resumed_can_still_be(self, house: House) -> None:
        house.consumer.fail["remove"] = ConsumerStalled("it stalled")
        run = await house.submit(ROWS, LIVE)
        await ended(run)
        house.consumer.fail.clear()
        self.cut_off(house, "reopen_run")
        with pytest.raises(DatabaseUnavailable):
            await house.runs.resume(run.id)
        await until(lambda: house.recorded(run).resumable)
        report = await ended(await house.runs.resume(run.id))
        assert report.verdict is Verdict.KEPT and report.counts.confirmed == 60

    async def test_one_that_was_cancelled_meanwhile_and_is_none_is_not_cancelled_for_ever(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.consumer.fail["remove"] = ConsumerStalled("it stalled")
        run = await house.submit(ROWS, LIVE)
        await ended(run)
        asked, answer = asyncio.Event(), asyncio.Event()

        async def refuse(*_: object) -> None:
            asked.set()
            await answer.wait()
            raise NotResumable

        monkeypatch.setattr(house.ledger, "reopen_run", refuse)
        monkeypatch.setattr(runs, "CANCEL_AGAIN", 0.0)
        resuming = asyncio.create_task(house.runs.resume(run.id))
        await asked.wait()
        cancelled = await house.runs.cancel(run.id)
        answer.set()
        with pytest.raises(NotResumable):
            await resuming
        cancelled.stop_reason = None
        await asyncio.sleep(0.05)
        assert cancelled.stop_reason is None
