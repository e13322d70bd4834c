"""The order of steps, and what happens when one fails, hangs or is cancelled: the session is removed exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.run import protocol
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS
from promise_pub.delivery.run.clock import RunClock
from promise_pub.delivery.run.protocol import run_session
from promise_pub.delivery.run.sessions import RunSessions
from promise_pub.errors import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    ConsumerComplaint,
    ConsumerGarbage,
    ConsumerStalled,
    ConsumerTimeout,
    StoredFileError,
)
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Batch, Rejected, Row, SessionView, State, StoredFile
from tests.fakes import FakeBroker, FakeConsumer, until

BATCHES = [
    Batch([Row(n, f"N{n}", f"{n}@x") for n in range(1, 4)], [], 30, 4),
    Batch([Row(4, "N4", "4@x")], [Rejected(5, "one field", "x")], 50, 6),
]
STEPS = {
    Mode.LIVE: ["create", "process live", "publish", "settle", "close", "remove"],
    Mode.BATCH: ["create", "publish", "settle", "close", "process batch", "remove"],
}
FAILURES = [(mode, step) for mode, steps in STEPS.items() for step in steps]


class NotingClock(RunClock):
    """Keeps the states that were entered."""

    def __init__(self) -> None:
        super().__init__()
        self.entered: list[State] = []

    def enter(self, state: State) -> None:
        super().enter(state)
        self.entered.append(state)


class NotingSessions(RunSessions):
    """Keeps the sessions that were seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[SessionView] = []

    def see(self, session: SessionView) -> None:
        super().see(session)
        self.seen.append(session)


class NotingRun(ActiveRun):
    """Leaves in `calls` when a batch was read, and when it was published."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__(str(uuid4()), StoredFile("data.csv", 1, "h"), Parameters())
        self.calls = calls
        self.clock: NotingClock = NotingClock()
        self.sessions: NotingSessions = NotingSessions()

    def note_read(self, batch: Batch) -> None:
        super().note_read(batch)
        self.calls.append("read it")

    def note_published(self, batch: Batch) -> None:
        super().note_published(batch)
        self.calls.append("published it")


class Stage:
    """The fakes put together; every step leaves its name in `calls`."""

    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.consumer = FakeConsumer(self.broker)
        self.calls = self.consumer.calls
        self.active = NotingRun(self.calls)
        self.trouble: dict[str, Any] = {}  # an error, or an event to hang on, by the name of a step
        self.batches_closed = False
        self.notices: list[str] = []
        self.backoff = BACKOFFS.broker

    async def step(self, name: str) -> None:
        self.calls.append(name)
        trouble = self.trouble.get(name)
        if isinstance(trouble, BaseException):
            raise trouble
        if trouble:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        await self.step("connect")
        reconnecting = ReconnectingPublisher(
            self.broker.open_publisher, self.active.shipment(), self.notices.append, self.backoff
        )
        async with reconnecting as publisher:
            try:
                yield _Noting(publisher, self)
            finally:
                await self.step("close")

    async def batches(self) -> AsyncIterator[Batch]:
        for batch in BATCHES:
            await self.step("read")
            yield batch

    def fail(self, step: str, error: BaseException) -> None:
        self.trouble[step] = self.consumer.fail[step] = error  # type: ignore[assignment]

    def hang(self, step: str) -> None:
        self.trouble[step] = True
        self.consumer.hang.add(step)

    async def run(self, mode: Mode = Mode.LIVE) -> SessionView:
        connection: AbstractAsyncContextManager[Any] = self.connection()
        self.active.parameters = Parameters(mode=mode)
        self.active.clock.start()
        return await run_session(self.active, self.consumer, connection, self.batches())

    @property
    def tracker(self) -> ConfirmTracker:
        return self.active.shipment().tracker

    @property
    def left(self) -> list[str]:
        """The sessions left behind; one without a name is empty."""
        return [*self.active.sessions.left_behind]

    def is_clean(self) -> None:
        """Nothing is left at the consumer, nor at the broker."""
        assert not self.consumer.sessions and not self.broker.queues
        assert self.broker.connections == 0


class _Noting:
    def __init__(self, publisher: Any, stage: Stage) -> None:
        self._publisher = publisher
        self._stage = stage
        self.tracker = publisher.tracker
        self.route_to = publisher.route_to
        self._settles = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    async def publish(self, rows: Any) -> None:
        await self._stage.step("publish")
        await self._publisher.publish(rows)

    async def settle(self) -> None:
        self._settles += 1
        await self._stage.step("settle" if self._settles == 1 else "settle again")
        await self._publisher.settle()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("mode", Mode)
async def test_the_steps_come_in_their_order(stage: Stage, mode: Mode) -> None:
    final = await stage.run(mode)
    publishing = [
        *("read", "read it", "publish", "published it"),
        *("read", "read it", "publish", "published it"),
        *("settle", "close"),
    ]
    wanted = {
        Mode.LIVE: ["connect", "create", "process live", *publishing, "remove"],
        Mode.BATCH: ["connect", "create", *publishing, "process batch", "remove"],
    }
    assert stage.calls == wanted[mode]
    assert stage.active.clock.entered[1:] == [State.NEGOTIATING, State.PUBLISHING, State.DRAINING]
    assert (final.received, final.saved) == (4, 4)
    seen = stage.active.sessions.seen
    assert seen[0].received == 0 and seen[-1] == final
    assert stage.tracker.confirmed == 4
    assert stage.consumer.sent == ([None, None, 4] if mode is Mode.LIVE else [None, 4, 4])
    stage.is_clean()


async def test_a_row_that_came_back_is_not_told_as_sent(stage: Stage) -> None:
    stage.broker.most = {}
    create = stage.consumer.create

    async def create_and_lose_the_queue() -> SessionView:
        session = await create()
        stage.broker.most[session.uuid] = 3
        return session

    stage.consumer.create = create_and_lose_the_queue  # type: ignore[method-assign]
    await stage.run()
    assert stage.consumer.sent[-1] == 3 and len(stage.tracker.nacked) == 1


@pytest.mark.parametrize("error", [BrokerUnreachable(), BrokerRefused()])
async def test_a_broker_that_is_away_leaves_no_session_behind(stage: Stage, error: Exception) -> None:
    stage.fail("connect", error)
    with pytest.raises(type(error)):
        await stage.run()
    assert stage.calls == ["connect"] and not stage.left


async def test_a_session_that_was_not_created_is_not_removed(stage: Stage) -> None:
    stage.fail("create", ConsumerComplaint("ERROR"))
    with pytest.raises(ConsumerComplaint):
        await stage.run()
    assert stage.calls == ["connect", "create", "close"]
    stage.is_clean()


def create_badly(stage: Stage, *, received: int = 0) -> asyncio.Event:
    """The consumer makes a session, and its answer is none but names it. Set the event to have it answer."""
    plain, answer = stage.consumer.create, asyncio.Event()

    async def create() -> SessionView:
        session = await plain()
        stage.consumer.sessions[session.uuid] = replace(session, received=received)
        await answer.wait()
        error = ConsumerGarbage("That is no session")
        error.last = SessionView(session.uuid)
        raise error

    stage.consumer.create = create  # type: ignore[method-assign]
    return answer


@pytest.mark.parametrize("removes", [True, False])
async def test_a_session_that_a_bad_answer_names_is_removed_or_told_as_left_behind(stage: Stage, removes: bool) -> None:
    stage.consumer.abandons = removes
    create_badly(stage).set()
    with pytest.raises(ConsumerGarbage):
        await stage.run()
    assert stage.calls.count("abandon") == 1
    assert stage.left == list(stage.consumer.sessions)
    assert bool(stage.left) is not removes


async def test_a_session_that_has_received_messages_is_not_the_new_one_and_left_alone(
    stage: Stage,
) -> None:
    """As in: I am busy with the session so and so."""
    create_badly(stage, received=3).set()
    with pytest.raises(ConsumerGarbage):
        await stage.run()
    assert "abandon" not in stage.calls and not stage.left and stage.consumer.sessions


async def test_a_create_that_nobody_answered_is_told(stage: Stage) -> None:
    error = ConsumerTimeout("no answer")
    error.unanswered = True
    stage.fail("create", error)
    with pytest.raises(ConsumerTimeout):
        await stage.run()
    assert stage.left == [""]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment lasts, on a machine that stands still for a while too."""
    monkeypatch.setattr(protocol, "HURRIED_ABANDON", 20.0)


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("badly", [True, False])
async def test_a_session_that_comes_to_be_while_the_run_is_cancelled_is_removed_or_told(
    stage: Stage, removes: bool, badly: bool
) -> None:
    stage.consumer.abandons = removes
    if badly:
        answer = create_badly(stage)
    else:
        plain, answer = stage.consumer.create, asyncio.Event()

        async def create() -> SessionView:
            session = await plain()
            await answer.wait()
            return session

        stage.consumer.create = create  # type: ignore[method-assign]
    run = asyncio.create_task(stage.run())
    await until(lambda: stage.consumer.sessions)
    run.cancel()
    await asyncio.sleep(0)
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stage.calls.count("abandon") == 1
    assert stage.left == list(stage.consumer.sessions)
    assert bool(stage.left) is not removes


@pytest.mark.parametrize("times", [1, 2])
async def test_a_create_that_is_cancelled_without_an_answer_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(protocol, "HURRIED_ABANDON", 0.02 if times == 1 else 3600.0)
    stage.hang("create")
    run = asyncio.create_task(stage.run())
    await until(lambda: stage.calls[-1:] == ["create"])
    for _ in range(times):
        run.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 30)
    assert stage.left == [""] and "abandon" not in stage.calls


async def test_a_session_whose_removal_is_cancelled_again_and_again_is_removed_or_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HURRIED_ABANDON", 0.02)
    asked = asyncio.Event()

    async def never(*_: Any) -> bool:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    stage.consumer.abandon = never  # type: ignore[method-assign]
    create_badly(stage).set()
    run = asyncio.create_task(stage.run())
    await asyncio.wait_for(asked.wait(), 30)
    for _ in range(2):
        run.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 30)
    assert stage.left == list(stage.consumer.sessions)


ERRORS = {
    "publish": BrokerLost(),
    "settle": BrokerLost(),
    "close": RuntimeError("the connection does not close"),
    "read": StoredFileError(),
}


@pytest.mark.parametrize(("mode", "step"), [*[f for f in FAILURES if f[1] != "create"], (Mode.LIVE, "read")])
async def test_when_a_step_fails_the_session_is_removed_once_and_the_error_goes_on(
    stage: Stage, mode: Mode, step: str
) -> None:
    error = ERRORS.get(step, ConsumerStalled("it stalled"))
    stage.fail(step, error)
    with pytest.raises(type(error)) as caught:
        await stage.run(mode)
    assert caught.value is error
    assert stage.calls.count("abandon") == 1 and stage.calls.count("close") == 1
    assert not stage.left
    stage.is_clean()


@pytest.mark.parametrize(("mode", "step"), FAILURES)
async def test_when_it_is_cancelled_at_any_step_the_session_is_removed_once(
    stage: Stage, mode: Mode, step: str
) -> None:
    stage.hang(step)
    run = asyncio.create_task(stage.run(mode))
    await until(lambda: stage.calls[-1:] == [step])
    await asyncio.sleep(0.005)  # it hangs there
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stage.calls.count("abandon") == (0 if step == "create" else 1)
    assert stage.calls.count("close") == 1
    stage.is_clean()


async def test_a_session_the_consumer_does_not_remove_is_noted(stage: Stage) -> None:
    stage.consumer.abandons = False
    stage.fail("remove", ConsumerStalled())
    with pytest.raises(ConsumerStalled):
        await stage.run()
    assert stage.left == list(stage.consumer.sessions)


async def test_even_an_error_nobody_foresaw_while_settling_again_removes_the_session(
    stage: Stage,
) -> None:
    stage.fail("publish", StoredFileError())
    stage.fail("settle", RuntimeError("nobody foresaw"))
    with pytest.raises(RuntimeError):
        await stage.run()
    assert stage.calls.count("abandon") == 1
    stage.is_clean()


async def test_a_cancelled_run_waits_for_its_last_confirms(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way is counted, so that the counts told are right."""
    monkeypatch.setattr(protocol, "LAST_CONFIRMS", 30.0)
    stage.broker.holding = True
    run = asyncio.create_task(stage.run())
    await until(lambda: "settle" in stage.calls)
    run.cancel()
    asyncio.get_running_loop().call_later(0.02, setattr, stage.broker, "holding", False)
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stage.tracker.confirmed == 4


async def test_a_cancelled_run_does_not_wait_for_confirms_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LAST_CONFIRMS", 0.02)
    stage.broker.holding = True
    run = asyncio.create_task(stage.run())
    await until(lambda: "settle" in stage.calls)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 30)
    assert stage.calls.count("abandon") == 1
    stage.is_clean()


async def test_a_connection_that_stays_lost_is_told_with_what_was_confirmed(stage: Stage) -> None:
    stage.backoff = replace(stage.backoff, within=0.0)
    stage.broker.lose_after = 2
    with pytest.raises(BrokerLost) as caught:
        await stage.run()
    assert ": 2 of " in caught.value.message
    assert stage.tracker.confirmed >= 2
    assert stage.calls.count("abandon") == 1


async def test_the_broker_is_let_go_before_draining(stage: Stage) -> None:
    """Draining may take hours."""
    stage.hang("remove")
    run = asyncio.create_task(stage.run())
    await until(lambda: stage.calls[-1:] == ["remove"])
    assert stage.broker.connections == 0
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
