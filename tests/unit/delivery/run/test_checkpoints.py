"""Where a run can be continued: the last boundary before which every row is settled, and the rows of a new session."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from promise_pub.delivery.run.checkpoints import Checkpoints
from promise_pub.records import Batch, Rejected, Row, SessionView
from promise_pub.resume_state import Checkpoint, ResumeState

COLUMNS = ("name", "mail")


def batch(first: int, count: int, rejected: int = 0) -> Batch:
    last = first + count - 1
    rows = [Row(number, "n", "m") for number in range(first, last + 1)]
    return Batch(rows, [Rejected(0, "one field", "x")] * rejected, offset=10 * last, line=last + 1)


def publish(checkpoints: Checkpoints, read: Batch) -> None:
    checkpoints.note_read(read)
    checkpoints.tracker.sent(read.rows[0].number, len(read.rows), at=0.0)
    checkpoints.note_published(read, f"digest {read.rows[-1].number}")


def ack(checkpoints: Checkpoints, tag: int) -> None:
    checkpoints.tracker.ack(tag, multiple=True, at=0.0)
    checkpoints.advance()


def test_the_checkpoint_is_the_last_boundary_with_no_unsettled_row_before_it() -> None:
    checkpoints = Checkpoints(ResumeState())
    publish(checkpoints, batch(1, 3, rejected=2))
    publish(checkpoints, batch(4, 3))
    assert checkpoints.state.checkpoint == Checkpoint()
    ack(checkpoints, 5)
    reached = Checkpoint(row=3, offset=30, line=4, read=5, rejected=2, digest="digest 3")
    assert checkpoints.state.checkpoint == reached
    ack(checkpoints, 6)
    assert checkpoints.state.checkpoint == Checkpoint(row=6, offset=60, line=7, read=8, rejected=2, digest="digest 6")


def test_a_checkpoint_names_the_rows_lost_before_it() -> None:
    checkpoints = Checkpoints(ResumeState())
    publish(checkpoints, batch(1, 3))
    publish(checkpoints, batch(4, 3))
    checkpoints.tracker.came_back(2)
    checkpoints.tracker.nack(5, multiple=False, at=0.0)
    ack(checkpoints, 4)
    assert (checkpoints.state.checkpoint.returned_rows, checkpoints.state.checkpoint.nacked_rows) == ("2", "")
    ack(checkpoints, 6)
    assert (checkpoints.state.checkpoint.returned_rows, checkpoints.state.checkpoint.nacked_rows) == ("2", "5")
    proof = checkpoints.proof((), COLUMNS, resumed=False)
    assert proof.digest is None and str(proof.confirmed) == "1,3-4,6"


def test_a_resumed_run_publishes_from_its_checkpoint_on_and_counts_rows_as_sent_again() -> None:
    state = ResumeState(Checkpoint(row=6, read=8, rejected=2, digest="0f", nacked_rows="1,5"), after=4)
    checkpoints = Checkpoints(state, resent=2, published=9)
    shipment = checkpoints.shipment(uuid4(), datetime.now(UTC), COLUMNS)
    assert (shipment.digest.through, shipment.digest.value) == (6, 15)
    assert shipment.earlier == 3, "of the rows of earlier sessions one was refused"
    assert (shipment.tracker.confirmed, shipment.tracker.published, checkpoints.published) == (4, 6, 9)
    publish(checkpoints, batch(7, 4))
    assert shipment.tracker.resent == 2 + 3 and checkpoints.proof((), COLUMNS, resumed=True).again
    assert checkpoints.note_read(batch(11, 1)) == (13, 2)


def test_a_new_session_gets_the_rows_after_those_that_the_old_one_processed() -> None:
    checkpoints = Checkpoints(ResumeState(cleared=True, employees=7, highest_id=7))
    publish(checkpoints, batch(1, 6))
    checkpoints.tracker.came_back(3)
    ack(checkpoints, 6)
    assert checkpoints.leave_session(SessionView("u", received=5, saved=4)) == 4
    assert checkpoints.state == ResumeState(Checkpoint(row=4, returned_rows="3"), after=4, cleared=True)
    assert checkpoints.published == 6 and checkpoints.tracker.published == 4
    publish(checkpoints, batch(5, 3))
    assert checkpoints.tracker.resent == 2


def test_a_session_cannot_have_processed_rows_that_were_never_published() -> None:
    checkpoints = Checkpoints(ResumeState())
    publish(checkpoints, batch(1, 3))
    ack(checkpoints, 3)
    assert checkpoints.leave_session(SessionView("u", received=100, saved=100)) == 3


def test_without_a_session_all_rows_are_left() -> None:
    checkpoints = Checkpoints(ResumeState(after=4, checkpoint=Checkpoint(row=6)))
    assert checkpoints.leave_session(None) == 4
    assert checkpoints.tracker.published == 4
