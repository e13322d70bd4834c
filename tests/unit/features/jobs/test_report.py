"""The report of jobs and runs, as every face tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promise_pub.features.jobs.records import JobRun, Reason, State
from promise_pub.features.jobs.report import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    encode_run,
    judge_job,
    judge_jobs,
    list_due,
    list_run_cells,
    next_due,
    schedule_words,
)
from promise_pub.features.jobs.words import (
    is_going,
    missed_words,
    progress_words,
    reason_words,
    seconds_taken,
    state_words,
    tone,
)
from tests.jobs.fake_desk import NOW, a_job, a_run

TOMORROW = datetime(2026, 11, 27, 0, 30, tzinfo=UTC)


def test_a_schedule_is_told_in_words_with_its_zone() -> None:
    assert schedule_words(a_job()) == "At 01:30 every day, Europe/Berlin"
    assert schedule_words(a_job(schedule=None)) == "Only when asked"
    for unreadable in (a_job(schedule="x y"), a_job(zone="Nowhere/At_All"), a_job(zone="/etc/passwd")):
        assert schedule_words(unreadable) == f"{unreadable.schedule}, {unreadable.zone}"
        assert next_due(unreadable, NOW) is None and [*list_due(unreadable, NOW, 3)] == []


def test_the_next_due_time_is_the_first_that_was_not_seen_to() -> None:
    assert next_due(a_job(), NOW) == TOMORROW
    assert next_due(a_job(paused=True), NOW) is None and next_due(a_job(schedule=None), NOW) is None
    late = judge_job(a_job(last_due=NOW - timedelta(days=3)), [], NOW)
    assert late.next_due and late.next_due < NOW and late.overdue and [*late.list_notes()] == ["It is overdue."]
    assert not judge_job(a_job(), [], NOW).overdue


def test_a_clock_that_was_ahead_does_not_hide_the_next_due_time() -> None:
    assert next_due(a_job(last_due=NOW + timedelta(days=365)), NOW) == TOMORROW


def test_due_times_are_listed_one_a_day_also_where_clocks_are_turned_back() -> None:
    found = [*list_due(a_job(schedule="30 2 * * *"), datetime(2026, 10, 24, 12, tzinfo=UTC), 2)]
    assert found == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]


def test_what_is_not_as_usual_is_told() -> None:
    assert [*judge_job(a_job(), [], NOW).list_notes()] == []
    absent = judge_job(a_job(seen_at=NOW - timedelta(minutes=3), paused=True), [], NOW)
    assert not absent.has_server
    assert [*absent.list_notes()] == [
        "It is paused: its due times are passed over.",
        "No server has it now: it waits until one with it is there.",
    ]
    assert judge_job(a_job(seen_at=NOW - timedelta(minutes=2)), [], NOW).has_server


def test_a_run_without_progress_for_ten_minutes_is_stalled() -> None:
    run = a_run(5, state=State.RUNNING, progressed_at=NOW - timedelta(minutes=10))
    assert [*judge_job(a_job(), [run], NOW).list_notes()] == ["Run 5 is stalled: no progress for 10 minutes."]
    assert (state_words(run, NOW), tone(run, NOW), encode_run(run, NOW)["stalled"]) == ("stalled", "failed", True)
    assert state_words(run, NOW - timedelta(seconds=1)) == "running"
    assert encode_run(a_run(state=State.COMPLETED, progressed_at=NOW - timedelta(hours=1)), NOW)["stalled"] is False
    begun = a_run(state=State.RUNNING, progressed_at=None, started_at=NOW - timedelta(minutes=11))
    assert state_words(begun, NOW) == "stalled"


def test_each_job_has_its_own_runs() -> None:
    runs = [
        a_run(4, state=State.RUNNING),
        a_run(6, state=State.WAITING),
        a_run(5, state=State.WAITING),
        a_run(3, state=State.FAILED),
        a_run(2, state=State.COMPLETED),
        a_run(9, "sweep", State.COMPLETED),
    ]
    usage, sweep, idle = judge_jobs([a_job(), a_job("sweep"), a_job("idle")], runs, NOW)
    assert usage.running and usage.running.id == 4 and [run.id for run in usage.waiting] == [5, 6]
    assert usage.last and usage.last.id == 3 and sweep.last and sweep.last.id == 9
    assert (sweep.running, [*sweep.waiting], idle.last) == (None, [], None)
    assert usage.is_going and not sweep.is_going


def test_a_run_goes_on_unless_it_waits_for_a_later_time() -> None:
    assert is_going(a_run(), NOW) and is_going(a_run(state=State.RUNNING), NOW)
    later = a_run(not_before=NOW + timedelta(minutes=5))
    assert not is_going(later, NOW) and state_words(later, NOW) == "waiting until 12:05:00 UTC"
    assert not is_going(a_run(state=State.FAILED), NOW)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (a_run(), "waiting"),
        (a_run(state=State.RUNNING, cancelling=True), "being cancelled"),
        (a_run(state=State.CANCELLED, cancelling=True), "cancelled"),
        (a_run(state=State.INTERRUPTED), "interrupted"),
    ],
)
def test_states_are_told_in_words(run: JobRun, words: str) -> None:
    assert state_words(run, NOW) == words


def test_progress_reasons_and_missed_times_are_told_in_words() -> None:
    assert progress_words(a_run()) == "" and progress_words(a_run(message="Begun")) == "Begun"
    assert progress_words(a_run(done=3, total=10, message="2026-01-03")) == "3 of 10: 2026-01-03"
    assert progress_words(a_run(done=1234)) == "1,234 done"
    assert reason_words(a_run(asked_by="ann")) == "asked for by ann" and reason_words(a_run()) == "asked for"
    assert reason_words(a_run(reason=Reason.RETRY, attempt=3, asked_by="ann")) == "tried again, try 3"
    assert missed_words(a_run(missed=1)) == "1 due time missed before" and missed_words(a_run()) == ""
    assert missed_words(a_run(missed=1000)) == "1,000 due times missed before"
    assert missed_words(a_run(missed=1001)) == "1,000+ due times missed before"
    assert seconds_taken(a_run(), NOW) is None and seconds_taken(a_run(state=State.FAILED), NOW) == 60


def test_cells_are_in_the_order_of_the_columns() -> None:
    run = a_run(3, state=State.COMPLETED, arguments={"start": "2026-01-01"}, missed=2, done=4, total=4)
    cells = dict(zip(RUN_COLUMNS, list_run_cells(run, NOW), strict=True))
    assert cells["arguments"] == '{"start": "2026-01-01"}' and cells["state"] == "completed" and cells["done"] == 4
    status = judge_job(a_job(), [run, a_run(4), a_run(5)], NOW)
    cells = dict(zip(JOB_COLUMNS, status.list_cells(), strict=True))
    assert cells["next_due"] == "2026-11-27T00:30:00.000Z" and cells["waiting"] == "4 5" and cells["running"] is None
    assert (cells["last_run"], cells["last_state"], cells["last_missed"]) == (3, "completed", 2)
