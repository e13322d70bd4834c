"""One run while it lives in this process: what has happened to it so far, and where it can be taken up."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from promise_pub.delivery.broker.reconnecting import ReconnectingPublisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker, Settled
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.evidence.proof import Proof
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import Judgement
from promise_pub.delivery.ports import Shipment
from promise_pub.delivery.run.resends import Resends
from promise_pub.delivery.run.timeline import Timeline
from promise_pub.errors import DatabaseError, DatabaseUnavailable, SessionLost
from promise_pub.parameters import Parameters
from promise_pub.records import (
    MAX_REJECTS,
    Batch,
    Checkpoint,
    Counts,
    EarlierSession,
    Fault,
    Finding,
    FindingKind,
    Going,
    Rejected,
    RunReport,
    Sample,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)

RANGES_SHOWN = 1_000  # ranges of row numbers that came back or were refused, in a report
MAX_SESSIONS = 100  # earlier sessions of a run, over all its turns: the report and the verdict name each
LONGEST_ROWS = 1_000  # characters of the row numbers that an earlier session told: nothing rests on them
LEFT_LIMIT = 100  # sessions left behind that a report names: the last ones
LEDGER_PATIENCE = 60.0  # seconds without a ledger for which a run waits before it stops publishing


class ActiveRun:
    """A run that is waiting or going, and how it ended. It observes its protocol; `report` tells the rest."""

    def __init__(
        self,
        run_id: str,
        file: StoredFile,
        parameters: Parameters,
        created_at: datetime | None = None,
    ) -> None:
        self.id = run_id
        self.file = file
        self.parameters = parameters
        self.done = asyncio.Event()
        self.hurried = False
        self.why: Fault | None = None  # of being interrupted, where it is not the server's end
        self._created_at = created_at or datetime.now(UTC)
        self.started_at: datetime | None = None
        self._finished_at: datetime | None = None
        self._state = State.QUEUED
        self._since = time.monotonic()
        self._seconds: defaultdict[State, float] = defaultdict(float)
        self._ledger_trouble: DatabaseError | None = None
        self._ledger_news = asyncio.Event()  # set once it is back, or refuses
        self._ledger_away_since = 0.0
        self.going = Going()
        self._settled = Settled()  # where the tracker took up
        self._tracker = ConfirmTracker()
        self._publisher: ReconnectingPublisher | None = None
        self._digest: str | None = None
        self._passed: deque[Checkpoint] = deque()  # boundaries with an unsettled row before them
        self._resends = Resends()
        self._earlier: list[EarlierSession] = []
        self._resumed = False
        self._at = (
            0,
            0,
        )  # records read and rejected where the reader is: it may go over some again
        self._read = 0
        self._rejected = 0
        self._offered = 0  # rejected records that were to be stored, or were too many
        self._unstored: list[Rejected] = []
        self._stored = 0
        self._read_bytes = 0
        self._timeline = Timeline()
        self.session: SessionView | None = None
        self._db_count: int | None = None
        self._judgement: Judgement | None = None
        self._fault: Fault | None = None

    @classmethod
    def again(cls, report: RunReport) -> Self:
        """A run that ended before its time, to be gone on with from its checkpoint."""
        run = cls(report.id, report.file, report.parameters, report.created_at)
        run.started_at = report.started_at
        run._seconds.update(_spent(report.seconds))
        run.going = replace(report.going, resumed=report.session is not None)
        run.session = report.session
        run._earlier = [*report.earlier]
        run._resumed = True
        run._read, run._rejected = report.counts.read, report.counts.rejected
        run._offered = report.going.checkpoint.rejected
        run._stored = min(run._offered, MAX_REJECTS)
        run._timeline = Timeline(report.samples)
        run._read_bytes = report.read_bytes
        run._resends = Resends(report.resends)
        resent = run._resends.rows
        run._take_up(resent, report.counts.published)
        if report.counts.published > run._settled.through:
            run._resends.because(f"the run was {report.state.value} before their confirm was recorded", resent)
        return run

    @property
    def ousted(self) -> bool:
        return self.why is not None

    def begin(self) -> None:
        """Its turn has come."""
        self.started_at = self.started_at or datetime.now(UTC)
        self.entered(State.NEGOTIATING)

    def entered(self, state: State) -> None:
        now = time.monotonic()
        self._seconds[self._state] += now - self._since
        self._state, self._since = state, now

    # Going on: a tracker takes up at the checkpoint, a new session after the rows that earlier ones make up for.

    def _take_up(self, resent: int, published: int) -> None:
        checkpoint = self.going.checkpoint
        returned = RowRanges.parse(checkpoint.returned_rows)
        nacked = RowRanges.parse(checkpoint.nacked_rows)
        self._settled = Settled(
            through=checkpoint.row,
            confirmed=checkpoint.row - len(returned) - len(nacked),
            returned=returned,
            nacked=nacked,
            resent=resent,
            published=published,
        )
        self._tracker = ConfirmTracker(self._settled)
        self._passed.clear()

    def shipment(self) -> Shipment:
        """What is to be published from the checkpoint on."""
        checkpoint, settled = self.going.checkpoint, self._settled
        after = self.going.after
        earlier = after - len(settled.returned.up_to(after)) - len(settled.nacked.up_to(after))
        digest = RowDigest(checkpoint.row, int(checkpoint.digest or "0", 16))
        assert self.started_at
        self._at = (checkpoint.read, checkpoint.rejected)
        return Shipment(
            UUID(self.id),
            self.started_at,
            self._tracker,
            digest,
            earlier,
            self.parameters.columns,
        )

    def prepared(self, employees: int, highest_id: int) -> None:
        """The employees table was like this before the session's first row."""
        self.going = replace(self.going, employees=employees, highest_id=highest_id, cleared=True)

    def next_session(self, reason: str) -> None:
        """The session cannot be gone on with: the next one takes the rows that this one has not told to be done with.

        Raises SessionLost when the run has used up MAX_SESSIONS.
        """
        if len(self._earlier) >= MAX_SESSIONS:
            raise SessionLost(
                f"The run has used up {MAX_SESSIONS} sessions: send its file again as a new run. {reason}"
            )
        self._settle_up()
        after = self.going.after
        published = max(self._tracker.published, self._settled.published)
        through = after
        if self.session:
            resent = self._tracker.resent - self.going.resent
            through = known_through(self.session, after, resent, resumed=self.going.resumed)
            through = min(through, published)
            self._note_earlier(EarlierSession(_without_long_rows(self.session), after + 1, through))
        self.session = None
        checkpoint = Checkpoint(
            row=through,
            returned_rows=str(self._tracker.returned.up_to(through)),
            nacked_rows=str(self._tracker.nacked.up_to(through)),
        )
        self.going = Going(
            checkpoint,
            after=through,
            cleared=self.going.cleared,
            resent=self._tracker.resent,
            left_behind=self.going.left_behind,
        )
        self.again_because(f"{reason.rstrip('.')}; a new session goes on")
        self._take_up(self._tracker.resent, published)

    def _note_earlier(self, earlier: EarlierSession) -> None:
        """Of several in a row that told of no row, the last stands for all: nothing is taken from any of them."""
        if self._earlier and all(one.last < one.first for one in (self._earlier[-1], earlier)):
            self._earlier.pop()
        self._earlier.append(earlier)

    def again_because(self, reason: str) -> None:
        """Rows that are sent again from now on are for this reason."""
        self._resends.because(reason, self._tracker.resent)

    # What its protocol tells it.

    def opened(self, publisher: ReconnectingPublisher) -> None:
        self._publisher = publisher

    def took(self, batch: Batch) -> None:
        read, rejected = self._at
        self._at = (
            read + len(batch.rows) + len(batch.rejected),
            rejected + len(batch.rejected),
        )
        fresh = self._at[1] - self._offered
        if fresh > 0:
            room = MAX_REJECTS - self._stored - len(self._unstored)
            self._unstored.extend(batch.rejected[-fresh:][: max(room, 0)])
            self._offered = self._at[1]
        self._read_bytes = max(self._read_bytes, batch.offset)
        self._read = max(self._read, self._at[0])
        self._rejected = max(self._rejected, self._at[1])

    async def may_publish(self) -> None:
        if self._ledger_trouble is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ledger_away_since + LEDGER_PATIENCE):
                while self._ledger_trouble and self._ledger_trouble.passes:
                    await self._ledger_news.wait()
        trouble = self._ledger_trouble
        if trouble and trouble.passes:
            raise DatabaseUnavailable(
                f"The database was away for {LEDGER_PATIENCE:g} s: the run stopped publishing. {trouble.message}"
            )
        if trouble:
            raise trouble.with_traceback(None)

    def passed(self, batch: Batch) -> None:
        read, rejected = self._at
        self._digest = self._publisher.digest if self._publisher else None
        if read - rejected >= self.going.checkpoint.row:
            self._passed.append(
                Checkpoint(
                    row=read - rejected,
                    offset=batch.offset,
                    line=batch.line,
                    read=read,
                    rejected=rejected,
                    digest=self._digest or "",
                )
            )
            self._settle_up()

    def saw(self, session: SessionView) -> None:
        self.session = session

    def left_behind(self, session: SessionView | None) -> None:
        uuid = session.uuid if session else ""
        others = [one for one in self.going.left_behind if one != uuid]
        self.going = replace(self.going, left_behind=(*others, uuid)[-LEFT_LIMIT:])

    def goes_on_in(self, session: SessionView) -> None:
        """The session that it began in lives, and will be removed at its end."""
        others = tuple(one for one in self.going.left_behind if one != session.uuid)
        self.going = replace(self.going, left_behind=others)

    # What the ledger tells it.

    def ledger_is(self, trouble: DatabaseError | None) -> None:
        """Why its progress cannot be recorded now; None: it was."""
        if trouble and not self._ledger_trouble:
            self._ledger_away_since = asyncio.get_running_loop().time()
        self._ledger_trouble = trouble
        if trouble and trouble.passes:
            self._ledger_news.clear()
        else:
            self._ledger_news.set()

    def unstored(self) -> list[Rejected]:
        """Rejected rows that the ledger does not hold yet."""
        return [*self._unstored]

    def stored(self, count: int) -> None:
        """The ledger holds the first `count` of them now."""
        del self._unstored[:count]
        self._stored += count

    def forget_unstored(self) -> None:
        """The ledger does not take them: they stay counted."""
        self._unstored.clear()

    def complete(self, judgement: Judgement, db_count: int) -> None:
        """It ended by itself."""
        judgement = Judgement(judgement.verdict, (*judgement.findings, *self._left()))
        self._judgement, self._db_count = judgement, db_count
        self._finish(State.COMPLETED)

    def fail(self, state: State, fault: Fault) -> None:
        """It ended otherwise. A run that has ended already stays as it ended."""
        if self._state.final:
            return
        for left in map(explain, self._left()):
            stop = "" if fault.message.endswith((".", "!", "?")) else "."
            fault = Fault(fault.code, f"{fault.message}{stop} {left[0].upper()}{left[1:]}.")
        self._fault = fault
        self._finish(state)

    def _left(self) -> Iterator[Finding]:
        if named := [uuid for uuid in self.going.left_behind if uuid]:
            yield Finding(FindingKind.SESSION_NOT_REMOVED, Verdict.KEPT, facts={"uuids": named})
        if "" in self.going.left_behind:
            yield Finding(FindingKind.SESSION_NOT_NAMED, Verdict.KEPT)

    def _finish(self, state: State) -> None:
        self.sample()
        self.entered(state)
        self._finished_at = datetime.now(UTC)

    async def sampled(self) -> None:
        """Keeps its timeline, until it is cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(self._timeline.interval)

    def sample(self) -> None:
        """Notes how it is now, from the moment that its turn has come."""
        if self.started_at and not self._state.final:
            spent = self._timing()
            worked = spent.total - spent.queued
            self._timeline.add(worked, self.counts(), self.session, self._tracker.latency)

    def counts(self) -> Counts:
        """Rows by fate, at this moment."""
        tracker = self._tracker
        return Counts(
            read=self._read,
            rejected=self._rejected,
            published=max(tracker.published, self._settled.published),
            confirmed=tracker.confirmed,
            returned=len(tracker.returned),
            nacked=len(tracker.nacked),
            resent=tracker.resent,
        )

    @property
    def blocked(self) -> bool:
        """Whether the broker does not read now."""
        publisher = self._publisher if self._state is State.PUBLISHING else None
        return publisher is not None and publisher.blocked

    @property
    def connected(self) -> bool:
        """Whether it has a connection to the broker."""
        return self._publisher is not None and self._publisher.connected

    @property
    def samples(self) -> tuple[Sample, ...]:
        """How it went so far."""
        return self._timeline.samples

    @property
    def latency(self) -> LatencyHistogram:
        """How long the confirms of this session took; a new one counts anew."""
        return self._tracker.latency

    def lost_rows(self) -> tuple[str, str]:
        """The numbers of the rows that came back, and of those the broker refused."""
        tracker = self._tracker
        return tracker.returned.shortened(RANGES_SHOWN), tracker.nacked.shortened(RANGES_SHOWN)

    def proof(self) -> Proof:
        """What the verdict rests on besides the counts."""
        after = self.going.after
        returned, nacked = self._tracker.returned, self._tracker.nacked
        lost_before = len(returned.up_to(after)) + len(nacked.up_to(after))
        confirmed = RowRanges([(after + 1, self._tracker.published)] if self._tracker.published > after else [])
        return Proof(
            confirmed=confirmed.without(returned).without(nacked),
            earlier=tuple(self._earlier),
            digest=self._digest if len(returned) + len(nacked) == lost_before else None,
            again=self.going.resumed or self._tracker.resent > self.going.resent,
            resumed=self._resumed,
            columns=self.parameters.columns,
        )

    def report(self, position: int | None = None) -> RunReport:
        """The run as it is now."""
        self._settle_up()
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
            session=self.session,
            db_count=self._db_count,
            verdict=self._judgement and self._judgement.verdict,
            explanation=self._judgement.explanation if self._judgement else (),
            findings=self._judgement.findings if self._judgement else (),
            confirm_ms=self._tracker.latency.summary(),
            position=position,
            error=self._fault,
            blocked=self.blocked,
            digest=self._digest,
            resends=self._resends.told(self._tracker.resent),
            earlier=tuple(self._earlier),
            going=self.going,
            samples=self.samples,
            read_bytes=self._read_bytes,
        )

    def _settle_up(self) -> None:
        """The checkpoint is the last boundary before which every row is settled."""
        while self._passed and self._passed[0].row <= self._tracker.settled_through:
            checkpoint = self._passed.popleft()
            tracker = self._tracker
            if tracker.returned or tracker.nacked:
                checkpoint = replace(
                    checkpoint,
                    returned_rows=str(tracker.returned.up_to(checkpoint.row)),
                    nacked_rows=str(tracker.nacked.up_to(checkpoint.row)),
                )
            self.going = replace(self.going, checkpoint=checkpoint)

    def _timing(self) -> Seconds:
        spent = dict(self._seconds)
        if not self._state.final:
            spent[self._state] = spent.get(self._state, 0.0) + time.monotonic() - self._since
        parts = {state.value: spent.get(state, 0.0) for state in _TIMED}
        return Seconds(**parts, total=sum(parts.values()))


_TIMED = (State.QUEUED, State.NEGOTIATING, State.PUBLISHING, State.DRAINING)


def _spent(seconds: Seconds) -> Mapping[State, float]:
    parts = asdict(seconds)
    return {state: parts[state.value] for state in _TIMED}


def known_through(session: SessionView, after: int, resent: int, *, resumed: bool = False) -> int:
    """Up to which row a session is known to be done with what it was sent from row `after` + 1 on.

    It reads its queue in order, and a row that was sent again may stand in it twice. Where nobody knows how often, as
    in one that a run was `resumed` in, at most what it saved counts: that it saves once. Where it tells the numbers of
    the rows it received, a gap in them ends what is known.
    """
    done = session.done_with - resent
    if resumed:
        done = min(done, session.saved or 0)
    through = after + max(0, done)
    if session.rows is not None:
        gaps = RowRanges.parse(session.rows).missing(after + 1, through)
        through = next((first - 1 for first, _ in gaps), through)
    return through


def _without_long_rows(session: SessionView) -> SessionView:
    return replace(session, rows=None) if len(session.rows or "") > LONGEST_ROWS else session
