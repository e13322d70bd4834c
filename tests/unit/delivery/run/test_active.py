"""A run while it lives: its report and its end."""

from __future__ import annotations

import json
from dataclasses import replace

from promise_pub.delivery.evidence.ranges import RANGES_SHOWN
from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import Judgement
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.stopping import StopReason
from promise_pub.parameters import Parameters
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import (
    Batch,
    Fault,
    Finding,
    FindingKind,
    Rejected,
    Row,
    SessionView,
    State,
    StoredFile,
    Verdict,
)

NO_DIGEST = Finding(FindingKind.NO_DIGEST, Verdict.KEPT)


def queued() -> ActiveRun:
    return ActiveRun("5d1b2a9e-0000-4000-8000-000000000000", StoredFile("a", 1, "h"), Parameters())


def started() -> ActiveRun:
    run = queued()
    run.clock.start()
    return run


def drained() -> ActiveRun:
    run = started()
    run.clock.enter(State.PUBLISHING)
    run.clock.enter(State.DRAINING)
    return run


def test_a_waiting_run_has_no_start_and_no_verdict() -> None:
    report = queued().report(position=3)
    assert (report.state, report.position, report.started_at) == (State.QUEUED, 3, None)
    assert report.verdict is None and report.confirm_ms is None


def test_records_that_are_read_again_count_once() -> None:
    run = started()
    batch = Batch([Row(1, "n", "m")], [Rejected(2, "one field", "x")], offset=20, line=3)
    run.note_read(batch)
    run.leave_session("It ended.")
    run.note_read(batch)
    report = run.report()
    assert (report.counts.read, report.counts.rejected, report.read_bytes) == (2, 1, 20)
    assert len(run.rejects.pending) == 1


def test_the_counts_are_those_of_the_tracker_at_the_moment() -> None:
    run = started()
    tracker = run.shipment().tracker
    tracker.sent(1, 10, at=0.0)
    tracker.came_back(2)
    tracker.ack(5, multiple=True, at=1.0)
    tracker.nack(7, multiple=False, at=1.0)
    report = run.report()
    counts = report.counts
    assert (counts.published, counts.confirmed, counts.returned, counts.nacked) == (10, 4, 1, 1)
    assert (report.returned_rows, report.nacked_rows) == ("2", "7")
    assert report.confirm_ms and report.confirm_ms.max == 1000


def test_a_report_shows_a_thousand_ranges_of_lost_rows() -> None:
    run = started()
    tracker = run.shipment().tracker
    tracker.sent(1, 4 * RANGES_SHOWN, at=0.0)
    for tag in range(1, 4 * RANGES_SHOWN, 2):
        tracker.nack(tag, multiple=False, at=0.0)
    report = run.report()
    assert report.counts.nacked == 2 * RANGES_SHOWN
    assert report.nacked_rows.endswith(",1999 and 1,000 more ranges")


def test_unconfirmed_rows_are_told_where_they_are_asked_for_and_at_the_end() -> None:
    run = started()
    tracker = run.shipment().tracker
    tracker.sent(1, 4 * RANGES_SHOWN, at=0.0)
    for tag in range(1, 4 * RANGES_SHOWN, 2):
        tracker.ack(tag, multiple=False, at=0.0)
    unconfirmed = ",".join(map(str, range(2, 4 * RANGES_SHOWN + 1, 2)))
    assert run.report().unconfirmed_rows == ""
    assert run.report(with_unconfirmed=True).unconfirmed_rows == unconfirmed
    run.fail(State.FAILED, Fault("broker_lost", "gone"))
    assert run.report().unconfirmed_rows == unconfirmed


def test_json_names_a_thousand_ranges_of_unconfirmed_rows() -> None:
    run = started()
    run.fail(State.FAILED, Fault("broker_lost", "gone"))
    written = ",".join(map(str, range(2, 2 * RANGES_SHOWN + 1, 2)))
    for rows, told in (
        ("", ""),
        ("2", "2"),
        (written, written),
        (f"{written},5000", f"{written} and 1 more range"),
        (f"{written},5000,6000-6001", f"{written} and 2 more ranges"),
        (f"{written} and 2,000 more ranges", f"{written} and 2,000 more ranges"),
    ):
        assert encode_run(replace(run.report(), unconfirmed_rows=rows))["unconfirmed_rows"] == told


def test_a_failed_run_has_its_reason_and_no_verdict() -> None:
    run = started()
    run.fail(State.FAILED, Fault("broker_lost", "gone"))
    report = run.report()
    assert (report.state, report.verdict) == (State.FAILED, None)
    assert report.error == Fault("broker_lost", "gone")
    assert report.finished_at and report.started_at and report.finished_at >= report.started_at


def test_a_session_that_may_still_be_there_is_named() -> None:
    run = queued()
    run.sessions.see(SessionView("abc", 5, 4))
    run.sessions.note_left_behind(SessionView("abc"))
    run.fail(State.INTERRUPTED, Fault("interrupted", "The server was stopped."))
    error = run.report().error
    assert error and error.message == (
        "The server was stopped. The consumer did not say that it removed the session abc."
    )


def test_sessions_left_behind_are_still_named_after_a_resume() -> None:
    run = started()
    for uuid in ("abc", "def", "abc"):
        run.sessions.note_left_behind(SessionView(uuid))
    run.sessions.note_left_behind(None)
    run.leave_session("It ended.")
    run.fail(State.FAILED, Fault("session_lost", "gone"))
    resumed = ActiveRun.resume(run.report())
    for state in (State.NEGOTIATING, State.PUBLISHING, State.DRAINING):
        resumed.clock.enter(state)
    resumed.sessions.forget_left_behind(SessionView("def"))
    resumed.complete(Judgement(Verdict.KEPT, (NO_DIGEST,)), 5)
    assert resumed.report().explanation == (
        explain(NO_DIGEST),
        "the consumer did not say that it removed the session abc",
        "the consumer was asked for a session and named none: it may have created one nevertheless",
    )


def test_the_first_end_of_a_run_stays() -> None:
    """A stop may come while its end is being written."""
    run = drained()
    run.complete(Judgement(Verdict.KEPT, (NO_DIGEST,)), 5)
    ended = run.report()
    run.stop(StopReason.SHUTDOWN)
    run.end_stopped()
    assert run.report() == ended
    assert (ended.state, ended.verdict, ended.error) == (State.COMPLETED, Verdict.KEPT, None)


def test_of_several_reasons_to_stop_the_weightiest_counts() -> None:
    run = started()
    for reason in (StopReason.SHUTDOWN, StopReason.USER, StopReason.SHUTDOWN):
        run.stop(reason)
    run.end_stopped()
    report = run.report()
    assert (report.state, report.error) == (State.CANCELLED, Fault("cancelled", "The run was cancelled."))


def test_every_report_is_json() -> None:
    run = queued()
    for report in (run.report(1), run.report()):
        assert json.loads(json.dumps(encode_run(report)))["state"] == "queued"
    run = drained()
    run.sessions.see(SessionView("u", 3, None))
    run.complete(Judgement(Verdict.UNKNOWN, (Finding(FindingKind.SAVED_NOT_REPORTED, Verdict.UNKNOWN),)), 5)
    told = encode_run(run.report())
    assert told["findings"] == [{"kind": "saved_not_reported", "verdict": "unknown", "rows": None}]
    assert told["explanation"] == ["the consumer does not report how many rows it saved"]
    assert told["session"] == {"uuid": "u", "received": 3, "saved": None}
    assert told["verdict"] == "unknown" and told["created_at"].endswith("Z")


def test_a_resumed_run_is_still_of_the_one_who_started_it() -> None:
    run = ActiveRun("5d1b2a9e-0000-4000-8000-000000000000", StoredFile("a", 1, "h"), Parameters(), "ann")
    assert ActiveRun.resume(run.report()).report().started_by == "ann"
