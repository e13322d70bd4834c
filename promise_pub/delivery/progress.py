"""One run while it lives in this process: what has happened to it so far."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime

from promise_pub.delivery.confirms import ConfirmTracker
from promise_pub.delivery.verdict import Judgement
from promise_pub.records import (
    Batch,
    Counts,
    Fault,
    Parameters,
    Rejected,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
)

REJECTED_LIMIT = 10_000  # rejected rows of a run that are stored; all are counted
RANGES_SHOWN = 1_000  # ranges of row numbers that came back or were refused, in a report


class ActiveRun:
    """A run that is waiting or going, and how it ended. It observes its protocol; `report` tells the rest."""

    def __init__(self, run_id: str, file: StoredFile, parameters: Parameters) -> None:
        self.id = run_id
        self.file = file
        self.parameters = parameters
        self.done = asyncio.Event()
        self._created_at = datetime.now(UTC)
        self.started_at: datetime | None = None
        self._finished_at: datetime | None = None
        self._state = State.QUEUED
        self._since = time.monotonic()
        self._seconds: defaultdict[State, float] = defaultdict(float)
        self._tracker = ConfirmTracker()
        self._read = 0
        self._rejected = 0
        self._unstored: list[Rejected] = []
        self._stored = 0
        self._session: SessionView | None = None
        self._left_behind = False
        self._db_count: int | None = None
        self._judgement: Judgement | None = None
        self._fault: Fault | None = None

    def begin(self) -> datetime:
        """Its turn has come."""
        self.started_at = datetime.now(UTC)
        self.entered(State.NEGOTIATING)
        return self.started_at

    def entered(self, state: State) -> None:
        now = time.monotonic()
        self._seconds[self._state] += now - self._since
        self._state, self._since = state, now

    def opened(self, tracker: ConfirmTracker) -> None:
        self._tracker = tracker

    def took(self, batch: Batch) -> None:
        self._read += len(batch.rows) + len(batch.rejected)
        self._rejected += len(batch.rejected)
        room = REJECTED_LIMIT - self._stored - len(self._unstored)
        self._unstored.extend(batch.rejected[: max(room, 0)])

    def saw(self, session: SessionView) -> None:
        self._session = session

    def left_behind(self, session: SessionView) -> None:
        self._left_behind = True

    def unstored(self) -> list[Rejected]:
        """Rejected rows that the ledger does not hold yet."""
        return [*self._unstored]

    def stored(self, count: int) -> None:
        """The ledger holds the first `count` of them now."""
        del self._unstored[:count]
        self._stored += count

    def complete(self, judgement: Judgement, db_count: int) -> None:
        """It ended by itself."""
        self._judgement, self._db_count = judgement, db_count
        self._finish(State.COMPLETED)

    def fail(self, state: State, fault: Fault) -> None:
        """It ended otherwise. A run that has ended already stays as it ended."""
        if self._state.final:
            return
        if self._left_behind and self._session:
            left = f"{'' if fault.message.endswith(('.', '!', '?')) else '.'} The consumer did not say that it removed the session {self._session.uuid}."
            fault = Fault(fault.code, fault.message + left)
        self._fault = fault
        self._finish(state)

    def _finish(self, state: State) -> None:
        self.entered(state)
        self._finished_at = datetime.now(UTC)

    def counts(self) -> Counts:
        """Rows by fate, at this moment."""
        tracker = self._tracker
        return Counts(
            read=self._read,
            rejected=self._rejected,
            published=tracker.published,
            confirmed=tracker.confirmed,
            returned=len(tracker.returned),
            nacked=len(tracker.nacked),
        )

    def lost_rows(self) -> tuple[str, str]:
        """The numbers of the rows that came back, and of those the broker refused."""
        tracker = self._tracker
        return tracker.returned.shortened(RANGES_SHOWN), tracker.nacked.shortened(RANGES_SHOWN)

    def report(self, position: int | None = None) -> RunReport:
        """The run as it is now."""
        returned_rows, nacked_rows = self.lost_rows()
        return RunReport(
            id=self.id,
            parameters=self.parameters,
            file=self.file,
            created_at=self._created_at,
            state=self._state,
            started_at=self.started_at,
            finished_at=self._finished_at,
            seconds=self._timing(),
            counts=self.counts(),
            returned_rows=returned_rows,
            nacked_rows=nacked_rows,
            session=self._session,
            db_count=self._db_count,
            verdict=self._judgement and self._judgement.verdict,
            explanation=self._judgement.explanation if self._judgement else (),
            confirm_ms=self._tracker.latency.summary(),
            position=position,
            error=self._fault,
        )

    def _timing(self) -> Seconds:
        spent = dict(self._seconds)
        if not self._state.final:
            spent[self._state] = spent.get(self._state, 0.0) + time.monotonic() - self._since
        return Seconds(
            queued=spent.get(State.QUEUED, 0.0),
            negotiating=spent.get(State.NEGOTIATING, 0.0),
            publishing=spent.get(State.PUBLISHING, 0.0),
            draining=spent.get(State.DRAINING, 0.0),
            total=sum(spent.values()),
        )
