"""A run while it lives: its counts, times and its end."""

from __future__ import annotations

import json

import pytest

from promise_pub.delivery.evidence.sentences import explain
from promise_pub.delivery.evidence.verdict import Judgement
from promise_pub.delivery.run import active as module
from promise_pub.delivery.run.active import RANGES_SHOWN, ActiveRun
from promise_pub.parameters import Parameters
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import (
    MAX_REJECTS,
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


class Clock:
    now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def active() -> ActiveRun:
    return ActiveRun("5d1b2a9e-0000-4000-8000-000000000000", StoredFile("a", 1, "h"), Parameters())


def rejects(count: int, first: int = 1) -> Batch:
    rows = [Rejected(line, "one field", "x") for line in range(first, first + count)]
    return Batch([Row(first, "n", "m")], rows, 0, 0)


def test_the_time_of_each_part_adds_up_to_the_total(clock: Clock) -> None:
    run = active()
    clock.now += 3
    run.begin()
    clock.now += 1
    run.entered(State.PUBLISHING)
    clock.now += 10
    running = run.report().seconds
    assert (running.queued, running.negotiating, running.publishing, running.total) == (
        3,
        1,
        10,
        14,
    )
    run.entered(State.DRAINING)
    clock.now += 2
    run.complete(Judgement(Verdict.KEPT, ()), 5)
    clock.now += 100  # nothing counts after its end
    seconds = run.report().seconds
    assert (seconds.publishing, seconds.draining, seconds.total) == (10, 2, 16)


def test_a_waiting_run_has_only_waited(clock: Clock) -> None:
    run = active()
    clock.now += 7
    report = run.report(position=3)
    assert (report.state, report.position, report.started_at) == (State.QUEUED, 3, None)
    assert (report.seconds.queued, report.seconds.total) == (7, 7)
    assert report.verdict is None and report.confirm_ms is None


def test_of_rejected_rows_ten_thousand_are_kept_and_all_are_counted() -> None:
    run = active()
    run.took(rejects(MAX_REJECTS - 1))
    run.stored(4_000)
    run.took(rejects(5, first=20_000))
    run.took(rejects(5, first=30_000))
    assert run.counts().rejected == MAX_REJECTS + 9
    assert run.counts().accepted == 3
    assert len(run.unstored()) == MAX_REJECTS - 4_000
    assert run.unstored()[0].line == 4_001 and run.unstored()[-1].line == 20_000
    run.stored(len(run.unstored()))
    run.took(rejects(1, first=40_000))
    assert run.unstored() == []


def test_the_counts_are_those_of_the_tracker_at_the_moment() -> None:
    run = active()
    run.begin()
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
    run = active()
    run.begin()
    tracker = run.shipment().tracker
    tracker.sent(1, 4 * RANGES_SHOWN, at=0.0)
    for tag in range(1, 4 * RANGES_SHOWN, 2):
        tracker.nack(tag, multiple=False, at=0.0)
    report = run.report()
    assert report.counts.nacked == 2 * RANGES_SHOWN
    assert report.nacked_rows.endswith(",1999 and 1,000 more ranges")


def test_a_failed_run_has_its_reason_and_no_verdict() -> None:
    run = active()
    run.begin()
    run.fail(State.FAILED, Fault("broker_lost", "gone"))
    report = run.report()
    assert (report.state, report.verdict) == (State.FAILED, None)
    assert report.error == Fault("broker_lost", "gone")
    assert report.finished_at and report.started_at and report.finished_at >= report.started_at


def test_a_session_that_may_still_be_there_is_named() -> None:
    run = active()
    run.saw(SessionView("abc", 5, 4))
    run.left_behind(SessionView("abc"))
    run.fail(State.INTERRUPTED, Fault("interrupted", "The server was stopped."))
    error = run.report().error
    assert error and error.message == (
        "The server was stopped. The consumer did not say that it removed the session abc."
    )


def test_sessions_left_behind_are_still_named_after_a_resume() -> None:
    run = active()
    run.begin()
    for uuid in ("abc", "def", "abc"):
        run.left_behind(SessionView(uuid))
    run.left_behind(None)
    run.next_session("It ended.")
    run.fail(State.FAILED, Fault("session_lost", "gone"))
    again = ActiveRun.again(run.report())
    again.begin()
    again.goes_on_in(SessionView("def"))
    again.complete(Judgement(Verdict.KEPT, (NO_DIGEST,)), 5)
    assert again.report().explanation == (
        explain(NO_DIGEST),
        "the consumer did not say that it removed the session abc",
        "the consumer was asked for a session and named none: it may have created one nevertheless",
    )


def test_how_a_run_ended_is_told_once() -> None:
    """A stop may come while its end is being written."""
    run = active()
    run.begin()
    run.complete(Judgement(Verdict.KEPT, (NO_DIGEST,)), 5)
    ended = run.report()
    run.fail(State.INTERRUPTED, Fault("interrupted", "too late"))
    assert run.report() == ended
    assert (ended.state, ended.verdict, ended.error) == (State.COMPLETED, Verdict.KEPT, None)


def test_every_report_is_json() -> None:
    run = active()
    for report in (run.report(1), run.report()):
        assert json.loads(json.dumps(encode_run(report)))["state"] == "queued"
    run.begin()
    run.saw(SessionView("u", 3, None))
    run.complete(Judgement(Verdict.UNKNOWN, (Finding(FindingKind.SAVED_NOT_REPORTED, Verdict.UNKNOWN),)), 5)
    told = encode_run(run.report())
    assert told["findings"] == [{"kind": "saved_not_reported", "verdict": "unknown", "rows": None}]
    assert told["explanation"] == ["the consumer does not report how many rows it saved"]
    assert told["session"] == {"uuid": "u", "received": 3, "saved": None}
    assert told["verdict"] == "unknown" and told["created_at"].endswith("Z")
