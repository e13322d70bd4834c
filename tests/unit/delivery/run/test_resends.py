"""Why rows were sent again: merged by reason, and never more than a few, whatever happens to a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.evidence.verdict import judge
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.resends import MAX_REASON_TEXT, MAX_REASONS, OTHERS, Resends
from promise_pub.delivery.run.sessions import MAX_SESSIONS
from promise_pub.delivery.store.run_rows import columns_of
from promise_pub.errors import SessionLost
from promise_pub.parameters import Parameters
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import Fault, Resent, SessionView, State, StoredFile

GAPS = ",".join(map(str, range(1, 2_000, 2)))  # of a consumer that missed every other row
# Characters of a report's JSON: it is written to the ledger twice a second, and told to every page that follows.
LARGEST = 64 * 1024


def active() -> ActiveRun:
    run = ActiveRun("5d1b2a9e-0000-4000-8000-000000000000", StoredFile("a", 1, "h"), Parameters())
    run.clock.start()
    run.clock.enter(State.PUBLISHING)
    return run


def lose(run: ActiveRun, reason: str, rows: int = 1) -> None:
    run.note_resend(reason)
    run.shipment().tracker.resent += rows


def size(run: ActiveRun) -> int:
    """Of what is told, or of what the ledger keeps, whichever is larger."""
    report = run.report()
    return max(len(json.dumps(encode_run(report))), len(json.dumps(columns_of(report), default=str)))


def test_equal_reasons_are_counted_together() -> None:
    run = active()
    for _ in range(1000):
        lose(run, "it hung up", 2)
        lose(run, "CONNECTION_FORCED", 1)
    assert run.report().resends == (Resent(2000, "it hung up"), Resent(1000, "CONNECTION_FORCED"))


def test_a_report_stays_small_after_thousands_of_losses_each_told_in_other_words() -> None:
    run = active()
    for number in range(5_000):
        lose(run, f"the broker's words, {number} of them{' and more' * number}")
        if not number % 100:
            run.report()
    assert size(run) < LARGEST
    report = run.report()
    assert sum(one.rows for one in report.resends) == report.counts.resent == 5_000
    assert len(report.resends) == MAX_REASONS + 1 and report.resends[-1].reason == OTHERS


def test_a_report_stays_small_over_thousands_of_resumes_and_sessions() -> None:
    run = active()
    for number in range(1_000):
        for _ in range(2):
            run.sessions.see(SessionView(f"session-{number}", received=0, saved=0, rows=GAPS))
            run.leave_session(f"The session had ended ('{number}')")
            lose(run, f"lost for the {number}th time")
        run.sessions.note_left_behind(SessionView("left"))
        run.fail(State.FAILED, Fault("broker_lost", f"It was lost, {number} times."))
        assert size(run) < LARGEST
        run = ActiveRun.resume(replace(run.report(), state=State.FAILED))
        run.clock.start()
    report = run.report()
    assert sum(one.rows for one in report.resends) == report.counts.resent == 2_000
    assert len(report.earlier) == 1


def test_a_run_that_has_used_up_many_sessions_is_not_given_another() -> None:
    run = active()
    sessions = 0
    with pytest.raises(SessionLost, match="send its file again as a new run"):
        while True:
            run.shipment().tracker.sent(run.shipment().tracker.published + 1, 1, 0.0)
            run.shipment().tracker.ack(1, multiple=True, at=0.0)
            run.sessions.see(SessionView(f"session-{sessions}", 1, 1, 0, 0, rows=f"{sessions + 1}"))
            run.leave_session("The session's queue is gone.")
            sessions += 1
    assert sessions == MAX_SESSIONS and size(run) < LARGEST
    report = run.report()
    assert [one.first for one in report.earlier] == [*range(1, MAX_SESSIONS + 1)]
    told = judge(run.counts(), "", "", SessionView("last", 0, 0), None, None, run.proof())
    assert len(json.dumps(told.explanation)) < LARGEST


@pytest.mark.parametrize(("rows", "kept"), [("1-5000,5002", True), (GAPS, False)], ids=["few", "many"])
def test_of_an_earlier_session_a_long_list_of_rows_is_not_kept(rows: str, kept: bool) -> None:
    run = active()
    run.sessions.see(SessionView("u", rows=rows))
    run.leave_session("it ended")
    assert (run.report().earlier[0].session.rows is not None) is kept


REASONS = st.sampled_from(["a", "b", "c" * 2 * MAX_REASON_TEXT, *map(str, range(30))])


@given(st.lists(st.tuples(REASONS, st.integers(0, 5), st.booleans()), max_size=200))
def test_the_rows_of_all_reasons_add_up(losses: list[tuple[str, int, bool]]) -> None:
    resends, resent = Resends(), 0
    for reason, rows, resumed in losses:
        resends.begin_reason(reason, resent)
        resent += rows
        if resumed:
            resends = Resends(resends.list_reasons(resent))
    told = resends.list_reasons(resent)
    assert told == resends.list_reasons(resent)
    assert sum(one.rows for one in told) == resent and all(one.rows for one in told)
    assert len(told) <= MAX_REASONS + 1
    assert all(len(one.reason) <= MAX_REASON_TEXT for one in told)
