"""A run while it lives in this process: queued, running, or ended and not recorded yet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Self
from uuid import UUID

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.evidence.proof import Proof
from promise_pub.delivery.evidence.ranges import RANGES_SHOWN
from promise_pub.delivery.evidence.row_map import LostRows, RowMap, map_rows
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import Judgement
from promise_pub.delivery.ports import Shipment
from promise_pub.delivery.run.checkpoints import Checkpoints
from promise_pub.delivery.run.clock import RunClock
from promise_pub.delivery.run.ledger_gate import LedgerGate
from promise_pub.delivery.run.rejects import RejectBuffer
from promise_pub.delivery.run.resends import Resends
from promise_pub.delivery.run.sessions import RunSessions
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.delivery.run.timeline import Timeline
from promise_pub.delivery.telling import News, RunTelling
from promise_pub.fates import RowGroup
from promise_pub.parameters import Parameters
from promise_pub.records import Batch, Counts, Fault, RunReport, SessionView, State, StoredFile
from promise_pub.resume_state import ResumeState


class ActiveRun:
    """One run, put together from its parts. `report` describes it."""

    def __init__(self, run_id: str, file: StoredFile, parameters: Parameters, started_by: str | None = None) -> None:
        self.id = run_id
        self.file = file
        self.parameters = parameters
        self.started_by = started_by
        self.done = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.stop_reason: StopReason | None = None
        self.evicted = False  # also where a user has cancelled the run besides
        self.clock = RunClock()
        self.ledger_gate = LedgerGate()
        self.rejects = RejectBuffer()
        self.sessions = RunSessions()
        self.timeline = Timeline()
        self.telling = RunTelling()
        self._checkpoints = Checkpoints(ResumeState())
        self._resends = Resends()
        self.publisher: ReconnectingPublisher | None = None
        self._resumed = False
        self._read = self._rejected = self._read_bytes = 0  # at the furthest: the reader may start again before
        self._db_count: int | None = None
        self._judgement: Judgement | None = None
        self._fault: Fault | None = None
        self._row_groups: tuple[RowGroup, ...] = ()

    @classmethod
    def resume(cls, report: RunReport) -> Self:
        """Makes a run that continues from the checkpoint of one that ended early."""
        run = cls(report.id, report.file, report.parameters, report.started_by)
        run._resumed = True
        run.clock = RunClock(report.created_at, report.started_at, report.seconds)
        run.rejects = RejectBuffer(report.resume_state.checkpoint.rejected)
        run.sessions = RunSessions(report.session, report.earlier, report.resume_state.left_behind)
        run.timeline = Timeline(report.samples)
        run.telling = RunTelling(report.told)
        run._read, run._rejected, run._read_bytes = report.counts.read, report.counts.rejected, report.read_bytes
        run._resends = Resends(report.resends)
        state = replace(report.resume_state, resumed=report.session is not None)
        run._checkpoints = Checkpoints(state, run._resends.rows, report.counts.published)
        if report.counts.published > state.checkpoint.row:
            run.note_resend(f"the run was {report.state.value} before their confirm was recorded")
        return run

    @property
    def session(self) -> SessionView | None:
        """The consumer's session, as it was last seen."""
        return self.sessions.current

    @property
    def resume_state(self) -> ResumeState:
        """All that is needed to continue the run in another session or process."""
        return replace(self._checkpoints.state, left_behind=self.sessions.left_behind)

    def shipment(self) -> Shipment:
        """Returns the account of what is published from the checkpoint on."""
        assert self.clock.started_at
        return self._checkpoints.shipment(UUID(self.id), self.clock.started_at, self.parameters.columns)

    def note_employees(self, count: int, highest_id: int) -> None:
        """Notes what the employees table held before the session's first row."""
        state = self._checkpoints.state
        first = highest_id if state.held_up_to is None else state.held_up_to
        self._checkpoints.state = replace(state, employees=count, highest_id=highest_id, held_up_to=first, cleared=True)

    def leave_session(self, reason: str) -> None:
        """Gives the session up: the next one gets all rows that this one is not known to have processed.

        Raises SessionLost when the run has used up MAX_SESSIONS.
        """
        self.sessions.require_another(reason)
        self.telling.note_latency(self.latency)
        first = self._checkpoints.state.after + 1
        self.sessions.end_current(first, last=self._checkpoints.leave_session(self.session))
        self.note_resend(f"{reason.rstrip('.')}; a new session continues")

    def note_resend(self, reason: str) -> None:
        """Notes why rows are sent again from now on."""
        self._resends.begin_reason(reason, self._checkpoints.tracker.resent)

    def note_read(self, batch: Batch) -> None:
        """Notes a batch that was read from the file."""
        read, rejected = self._checkpoints.note_read(batch)
        self.rejects.add(batch.rejected, rejected)
        self._read, self._rejected = max(self._read, read), max(self._rejected, rejected)
        self._read_bytes = max(self._read_bytes, batch.offset)

    async def may_publish(self) -> None:
        """Waits while the ledger is away. Raises DatabaseError when that takes too long."""
        if self.ledger_gate.trouble:
            await self.ledger_gate.wait_open()

    def note_published(self, batch: Batch) -> None:
        """Notes that every row of a batch is published."""
        self._checkpoints.note_published(batch, self.publisher.digest if self.publisher else None)

    def stop(self, reason: StopReason) -> None:
        """Cancels the task that carries out the run, if there is one. A run that waits ends where it is dropped."""
        self.stop_reason = max(reason, self.stop_reason or reason)
        self.evicted |= reason.evicts
        if self.task:
            self.task.cancel()

    def complete(self, judgement: Judgement, db_count: int) -> None:
        """Ends the run with its verdict."""
        findings = (*judgement.findings, *self.sessions.find_left_behind())
        self._judgement, self._db_count = Judgement(judgement.verdict, findings), db_count
        self.sample()
        self.clock.enter(State.COMPLETED)

    def note_row_groups(self, groups: tuple[RowGroup, ...]) -> None:
        """Notes the records by their fates, once the row ledger has them."""
        self._row_groups = groups

    def fail(self, state: State, fault: Fault) -> None:
        """Ends the run without a verdict. A run that has ended stays as it is."""
        if self.clock.state.final:
            return
        for left in map(explain, self.sessions.find_left_behind()):
            stop = "" if fault.message.endswith((".", "!", "?")) else "."
            fault = Fault(fault.code, f"{fault.message}{stop} {left[0].upper()}{left[1:]}.")
        self._fault = fault
        self.sample()
        self.clock.enter(state)

    def end_stopped(self) -> None:
        """Ends the run for the reason for which it was stopped, unless it has ended already."""
        self.fail(*(self.stop_reason or StopReason.SHUTDOWN).end(self.clock.state))

    async def keep_timeline(self) -> None:
        """Samples the run until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(self.timeline.interval)

    def sample(self) -> None:
        """Adds the present counts to the timeline, once the first turn has begun."""
        if self.clock.started_at and not self.clock.state.final:
            spent = self.clock.seconds
            self.timeline.add(spent.total - spent.queued, self.counts(), self.sessions.totals, self.latency)

    def counts(self) -> Counts:
        """Returns the rows by fate at this moment."""
        tracker = self._checkpoints.tracker
        return Counts(
            read=self._read,
            rejected=self._rejected,
            published=self._checkpoints.published,
            confirmed=tracker.confirmed,
            returned=len(tracker.returned),
            nacked=len(tracker.nacked),
            resent=tracker.resent,
        )

    @property
    def blocked(self) -> bool:
        """True while the broker does not read."""
        publisher = self.publisher if self.clock.state is State.PUBLISHING else None
        return publisher is not None and publisher.blocked

    @property
    def connected(self) -> bool:
        """True while there is a connection to the broker."""
        return self.publisher is not None and self.publisher.connected

    @property
    def latency(self) -> LatencyHistogram:
        """Latencies of the confirms of this session."""
        return self._checkpoints.tracker.latency

    def lost_rows(self) -> tuple[str, str]:
        """Returns the numbers of the rows that came back, and of those that the broker refused."""
        tracker = self._checkpoints.tracker
        return tracker.returned.shortened(RANGES_SHOWN), tracker.nacked.shortened(RANGES_SHOWN)

    def map_rows(self) -> RowMap:
        """Returns what is known of each row by its number."""
        tracker, unconfirmed = self._checkpoints.tracker, self._checkpoints.unconfirmed()
        lost = LostRows(tracker.returned, tracker.nacked, unconfirmed)
        return map_rows(self.report(), lost, self.resume_state.after, self._checkpoints.proven_digest)

    def proof(self) -> Proof:
        """Returns the evidence for the verdict besides the counts."""
        return self._checkpoints.proof(self.sessions.earlier, self.parameters.columns, resumed=self._resumed)

    def report(self, position: int | None = None, *, with_unconfirmed: bool = False) -> RunReport:
        """Returns the run at this moment. `position` is its place in the queue.

        While the run is in progress, the numbers of unconfirmed rows are there only if asked for: they cost as much as
        the window is wide, and a report is made for every listener several times a second.
        """
        self._checkpoints.advance()
        returned_rows, nacked_rows = self.lost_rows()
        return RunReport(
            id=self.id,
            parameters=self.parameters,
            file=self.file,
            created_at=self.clock.created_at,
            started_by=self.started_by,
            state=self.clock.state,
            started_at=self.clock.started_at,
            finished_at=self.clock.finished_at,
            seconds=self.clock.seconds,
            counts=self.counts(),
            returned_rows=returned_rows,
            nacked_rows=nacked_rows,
            unconfirmed_rows=str(self._checkpoints.unconfirmed()) if with_unconfirmed or self.clock.state.final else "",
            session=self.session,
            db_count=self._db_count,
            verdict=self._judgement and self._judgement.verdict,
            explanation=self._judgement.explanation if self._judgement else (),
            findings=self._judgement.findings if self._judgement else (),
            confirm_ms=self.latency.summary(),
            position=position,
            error=self._fault,
            blocked=self.blocked,
            digest=self._checkpoints.digest,
            resends=self._resends.list_reasons(self._checkpoints.tracker.resent),
            earlier=self.sessions.earlier,
            resume_state=self.resume_state,
            samples=self.timeline.samples,
            read_bytes=self._read_bytes,
            row_groups=self._row_groups,
            told=self.telling.recorded,
        )

    def news(self, report: RunReport) -> News:
        """Returns what is to be told with a report of this run that is about to be written."""
        self.telling.note_latency(self.latency)
        return self.telling.tell(report)
