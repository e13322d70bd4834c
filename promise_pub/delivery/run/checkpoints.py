"""Checkpoints of a run, from which another session or another process can continue it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from promise_pub.delivery.evidence.confirms import ConfirmTracker, Settled
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.evidence.proof import Proof
from promise_pub.delivery.evidence.ranges import RowRanges
from promise_pub.delivery.ports import Shipment
from promise_pub.delivery.run.sessions import last_processed_row
from promise_pub.records import Batch, EarlierSession, SessionView
from promise_pub.resume_state import Checkpoint, ResumeState


class Checkpoints:
    """The fate of the rows of a run, and the last boundary of the file before which every row is settled.

    `tracker` continues after the checkpoint of `state`. `resent` and `published` are the run's counts up to now.
    """

    def __init__(self, state: ResumeState, resent: int = 0, published: int = 0) -> None:
        self.digest: str | None = None
        self._passed: deque[Checkpoint] = deque()  # boundaries with an unsettled row before them
        self._continue(state, resent, published)

    def _continue(self, state: ResumeState, resent: int, published: int) -> None:
        checkpoint = state.checkpoint
        returned = RowRanges.parse(checkpoint.returned_rows)
        nacked = RowRanges.parse(checkpoint.nacked_rows)
        self.state = state
        self._settled = Settled(
            through=checkpoint.row,
            confirmed=checkpoint.row - len(returned) - len(nacked),
            returned=returned,
            nacked=nacked,
            resent=resent,
            published=published,
        )
        self.tracker = ConfirmTracker(self._settled)
        self._passed.clear()
        self._read, self._rejected = checkpoint.read, checkpoint.rejected

    def shipment(self, run_id: UUID, started_at: datetime, columns: Sequence[str]) -> Shipment:
        """Returns the account that publishing keeps of the rows after the checkpoint."""
        checkpoint, after = self.state.checkpoint, self.state.after
        earlier = after - len(self._settled.returned.up_to(after)) - len(self._settled.nacked.up_to(after))
        digest = RowDigest(checkpoint.row, int(checkpoint.digest or "0", 16))
        return Shipment(run_id, started_at, self.tracker, digest, earlier, columns)

    @property
    def published(self) -> int:
        """The highest row ever published, by this session or an earlier one."""
        return max(self.tracker.published, self._settled.published)

    def unconfirmed(self) -> RowRanges:
        """Returns the rows that are published and not settled, those of an earlier session included."""
        rows, published = self.tracker.unsettled_rows, self.tracker.published
        if published < self.published:
            rows = RowRanges([*rows, (published + 1, self.published)])
        return rows

    @property
    def proven_digest(self) -> str | None:
        """The digest of the session's rows; None where some of them were lost at the broker."""
        lost = (self.tracker.returned, self.tracker.nacked)
        return None if any(rows.between(self.state.after + 1, self.published) for rows in lost) else self.digest

    def proof(self, earlier: tuple[EarlierSession, ...], columns: Sequence[str], *, resumed: bool) -> Proof:
        """Returns the evidence for the verdict besides the counts."""
        after, tracker = self.state.after, self.tracker
        published = RowRanges([(after + 1, tracker.published)] if tracker.published > after else [])
        return Proof(
            confirmed=published.without(tracker.returned).without(tracker.nacked),
            earlier=earlier,
            digest=self.proven_digest,
            again=self.state.resumed or tracker.resent > self.state.resent,
            resumed=resumed,
            columns=columns,
        )

    def note_read(self, batch: Batch) -> tuple[int, int]:
        """Moves the reader past a batch. Returns the numbers of records read and rejected up to there."""
        self._read += len(batch.rows) + len(batch.rejected)
        self._rejected += len(batch.rejected)
        return self._read, self._rejected

    def note_published(self, batch: Batch, digest: str | None) -> None:
        """Makes the end of a batch a boundary; it is the checkpoint once every row before it is settled."""
        self.digest = digest
        row = self._read - self._rejected
        if row >= self.state.checkpoint.row:
            self._passed.append(
                Checkpoint(row, batch.offset, batch.line, self._read, self._rejected, digest=digest or "")
            )
            self.advance()

    def advance(self) -> None:
        """Moves the checkpoint to the last boundary before which every row is settled."""
        reached = None
        while self._passed and self._passed[0].row <= self.tracker.settled_through:
            reached = self._passed.popleft()
        if reached:
            self.state = replace(self.state, checkpoint=self._with_lost_rows(reached))

    def _with_lost_rows(self, checkpoint: Checkpoint) -> Checkpoint:
        if not (self.tracker.returned or self.tracker.nacked):
            return checkpoint
        returned, nacked = (rows.up_to(checkpoint.row) for rows in (self.tracker.returned, self.tracker.nacked))
        return replace(checkpoint, returned_rows=str(returned), nacked_rows=str(nacked))

    def leave_session(self, session: SessionView | None) -> int:
        """Continues after the last row that the session, if there was one, is known to have processed; returns that row."""
        self.advance()
        published, resent, row = self.published, self.tracker.resent, self.state.after
        if session:
            row = last_processed_row(session, row, resent - self.state.resent, resumed=self.state.resumed)
            row = min(row, published)
        state = ResumeState(
            self._with_lost_rows(Checkpoint(row)),
            after=row,
            held_up_to=self.state.held_up_to,
            cleared=self.state.cleared,
            resent=resent,
        )
        self._continue(state, resent, published)
        return row
