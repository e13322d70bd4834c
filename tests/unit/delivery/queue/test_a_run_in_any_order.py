"""A run among fakes while everything around it fails, in any order: nothing is lost, and what is told is true."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from promise_pub.delivery.input.reader import read_batches
from promise_pub.delivery.run import execute
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.errors import BrokerUnreachable, DatabaseError, DatabaseUnavailable, NotCancellable, NotResumable
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Fault, RunReport, State, Verdict
from tests.fakes import Message, TellingConsumer
from tests.house import House
from tests.virtual_time import VirtualTimeLoop, without_threads

ROWS = 40
CANCEL_WITHIN = 2.0  # seconds
TOO_LONG = "x" * 128
MAILS = [f"{n}@x" if n % 7 else "again@x" for n in range(ROWS)]  # some stand more than once
UNUSABLE = [*MAILS[:3], *[TOO_LONG] * 3, *MAILS[6:]]
SECONDS = st.sampled_from([0.0, 0.02, 0.06, 0.3, 1.0, 2.5, 20.0, 70.0])


class AnyOrder(RuleBasedStateMachine):
    """Rules do what may happen at any moment; time passes between them. What they do not allow, they leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = VirtualTimeLoop()
        self.stack.callback(self.loop.close)
        self.stack.enter_context(without_threads())
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        small = partial(read_batches, chunk_size=64)
        self.stack.enter_context(patch.object(execute, "read_batches", small))
        self.house = House(Path(folder))
        self.house.broker.window = 4
        self.taken: set[tuple[str, int]] = set()  # rows that a queue ever held
        self.house.broker.take = self.note(self.house.broker.take)  # type: ignore[method-assign]
        self.house.ledger.employees.append("old@x")
        self.lossy = False  # a queue was deleted or full: rows came back, or were refused
        self.checkpoint = (0, 0)
        self.mails = MAILS
        self.run: ActiveRun

    def note(self, take: Any) -> Any:
        def noted(queue: str, message: Message) -> str:
            outcome: str = take(queue, message)
            if outcome == "ack":
                self.taken.add((queue, int(message.message_id.rpartition(":")[2])))
            return outcome

        return noted

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # What may be asked of a run.

    @initialize(
        mode=st.sampled_from(Mode),
        rate=st.sampled_from([0, 20, 200]),
        tells=st.booleans(),
        slow=st.booleans(),
        mails=st.sampled_from([MAILS, UNUSABLE]),
    )
    def submit(self, mode: Mode, rate: int, tells: bool, slow: bool, mails: list[str]) -> None:
        self.mails = mails
        text = b"".join(b"N%d,%b\n" % (n, mail.encode()) + b"no row\n" * (n % 5 == 0) for n, mail in enumerate(mails))
        if tells:
            self.house.consumer = TellingConsumer(self.house.broker, self.house.ledger)
            self.house.consumer.slow_to_save = slow
            self.house.runs = self.house.make_runs()
        self.house.consumer.look_every = 0.1
        self.do(self.house.runs.__aenter__())
        self.run = self.do(self.house.submit(text, Parameters(mode=mode, rate=rate)))

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule(turns=st.integers(1, 60))
    def wait_a_moment(self, turns: int) -> None:
        async def take_turns() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.do(take_turns())

    @rule()
    def cancel(self) -> None:
        try:
            self.do(self.house.runs.cancel(self.run.id))
        except (NotCancellable, DatabaseError):
            return
        self.do(asyncio.sleep(CANCEL_WITHIN))
        assert self.run.report().state is State.CANCELLED

    @rule()
    def cancel_and_go_on(self) -> None:
        with suppress(NotCancellable, DatabaseError):
            self.do(self.house.runs.cancel(self.run.id))

    @rule()
    def resume(self) -> None:
        with suppress(NotResumable, DatabaseError):
            self.run = self.do(self.house.runs.resume(self.run.id))

    @rule()
    def stop(self) -> None:
        began = self.loop.time()
        self.do(self.house.runs.__aexit__())
        assert self.loop.time() - began < 10
        assert self.run.report().state.final
        self.start()

    @rule()
    def kill(self) -> None:
        """Nothing that it does when it is stopped has happened."""
        house = self.house
        kept = {**house.ledger.runs}, {**house.consumer.sessions}, [*house.ledger.employees]
        queues = {name: [*queue] for name, queue in house.broker.queues.items()}
        ids, counts = deepcopy((house.consumer._ids, getattr(house.consumer, "_counts", {})))
        taken = {*self.taken}
        self.do(house.runs.__aexit__())
        house.ledger.runs, house.consumer.sessions = kept[0], kept[1]
        house.ledger.employees[:] = kept[2]
        house.broker.queues, house.consumer._ids, self.taken = queues, ids, taken
        if isinstance(house.consumer, TellingConsumer):
            house.consumer._counts = counts
        self.start()

    def start(self) -> None:
        """The next server; as the real ledger does for it, what was going is marked."""
        house = self.house
        house.broker.publishers.clear()
        for run_id, report in house.ledger.runs.items():
            if not report.state.final:
                house.ledger.runs[run_id] = replace(
                    report, state=State.INTERRUPTED, error=Fault("interrupted", "It was killed.")
                )
        house.runs = house.make_runs()
        self.do(house.runs.__aenter__())

    # What may happen to the rest.

    @rule()
    def cut(self) -> None:
        self.house.broker.cut()

    @rule(away=st.booleans())
    def the_broker_is(self, away: bool) -> None:
        self.house.broker.away = BrokerUnreachable() if away else None
        if away:
            self.house.broker.cut()

    @rule()
    def the_broker_restarts(self) -> None:
        self.house.broker.queues.clear()
        self.house.broker.cut()

    @rule()
    def the_queue_is_deleted(self) -> None:
        self.lossy = True
        self.house.broker.queues.clear()

    @rule()
    def the_queue_is_purged(self) -> None:
        """Rows are lost that were confirmed: which a consumer has to tell that tells which it has."""
        if isinstance(self.house.consumer, TellingConsumer):
            self.lossy = True
            for queue in self.house.broker.queues.values():
                queue.clear()

    @rule(most=st.integers(0, 20))
    def the_queue_is_full(self, most: int) -> None:
        self.lossy = True
        for queue in self.house.broker.queues:
            self.house.broker.most[queue] = most

    @rule(holding=st.booleans())
    def confirms_are_held(self, holding: bool) -> None:
        self.house.broker.holding = holding

    @rule(away=st.booleans())
    def the_ledger_is(self, away: bool) -> None:
        self.house.ledger.away = DatabaseUnavailable() if away else None

    @rule(count=st.integers(1, 15))
    def the_consumer_reads(self, count: int) -> None:
        if self.run.parameters.mode is Mode.LIVE:
            for uuid in self.house.consumer.sessions:
                self.house.consumer._read(uuid, count)

    @rule(slow=st.booleans())
    def the_consumer_is_slow_to_save(self, slow: bool) -> None:
        if isinstance(self.house.consumer, TellingConsumer):
            self.house.consumer.slow_to_save = slow

    @rule(queues_too=st.booleans())
    def the_consumer_restarts(self, queues_too: bool) -> None:
        self.house.consumer.restart()
        if queues_too:
            self.the_broker_restarts()

    @rule()
    def the_dead_commit_late(self) -> None:
        """What sessions that are gone still had in hand comes to be saved after all."""
        consumer = self.house.consumer
        for uuid, counts in getattr(consumer, "_counts", {}).items():
            if uuid not in consumer.sessions:
                self.save(row.mail for row in counts.take_pending())

    @rule(number=st.integers(0, 6))
    def another_run_saves(self, number: int) -> None:
        """Its turn comes while this one is not going. It may be of the same file."""
        if not self.house.runs.find(self.run.id):
            self.save([f"another {number}@x", MAILS[-number]])

    def save(self, mails: Iterable[str]) -> None:
        employees = self.house.ledger.employees
        employees += [mail for mail in dict.fromkeys(mails) if mail not in employees]

    @rule(removes=st.booleans())
    def the_consumer_removes(self, removes: bool) -> None:
        self.house.consumer.abandons = removes

    # What always holds.

    @invariant()
    def what_is_told_is_true(self) -> None:
        if not hasattr(self, "run"):
            return
        living = self.house.runs.find(self.run.id)
        told = [self.house.runs.report(living)] if living else []
        for report in [*told, self.house.ledger.runs[self.run.id]]:
            self.adds_up(report)
            if report.state is State.COMPLETED:
                self.judged(report)
            elif report.state.final:
                assert report.verdict is None and report.error

    def adds_up(self, report: RunReport) -> None:
        counts, state = report.counts, report.resume_state
        parts = (
            counts.confirmed,
            counts.returned,
            counts.nacked,
            counts.in_flight,
            counts.unpublished,
        )
        assert min(parts) >= 0 and sum(parts) == counts.accepted <= ROWS, report
        assert sum(one.rows for one in report.resends) == counts.resent, report
        # Rows that no session will see again are with the consumer, those before the checkpoint with the broker.
        assert {*self.mails[: state.after]} - {TOO_LONG} <= {*self.house.ledger.employees}, report
        row = state.checkpoint.row
        assert state.after <= row <= counts.confirmed + counts.returned + counts.nacked
        if report.session and not self.lossy:
            queue = report.session.uuid
            assert all((queue, number) in self.taken for number in range(state.after + 1, row + 1))

    def judged(self, report: RunReport) -> None:
        assert report.counts.unpublished == report.counts.in_flight == 0
        if report.verdict is Verdict.KEPT:
            assert {*self.mails} <= {*self.house.ledger.employees}
            assert report.counts.confirmed == ROWS
        else:
            assert self.lossy or TOO_LONG in self.mails, report
            assert report.verdict is Verdict.BROKEN, report

    def teardown(self) -> None:
        """Everything is back: the run ends by itself, or is resumed until it does."""
        try:
            if hasattr(self, "run"):
                self.judged(self.do(self.healed()))
        finally:
            self.do(self.house.runs.__aexit__())
            self.stack.close()

    async def healed(self) -> RunReport:
        house = self.house
        house.broker.away = house.ledger.away = None
        house.broker.holding, house.consumer.abandons = False, True
        for _ in range(4):
            while house.runs.find(self.run.id):  # noqa: ASYNC110
                await asyncio.sleep(1)
            report = house.ledger.runs[self.run.id]
            self.adds_up(report)
            if not report.resumable:
                return report
            await house.runs.resume(self.run.id)
        raise AssertionError(report)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    deadline=None,
    max_examples=60,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
)
