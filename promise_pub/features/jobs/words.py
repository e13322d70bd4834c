"""Runs of jobs in the words that people read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from promise_pub.features.jobs.records import JobRun, Reason, State
from promise_pub.schedules import MAX_MISSED
from promise_pub.text import counted

STALLED_AFTER = timedelta(minutes=10)  # of no progress

_REASONS = {
    Reason.SCHEDULE: "its schedule",
    Reason.ASKED: "asked for",
    Reason.RETRY: "tried again",
    Reason.RESUMED: "goes on for one that was cut off",
}


def is_going(run: JobRun, now: datetime) -> bool:
    """Tells whether a run goes on, or waits only for its turn."""
    return run.state is State.RUNNING or run.state is State.WAITING and run.not_before <= now


def is_stalled(run: JobRun, now: datetime) -> bool:
    """Tells whether a run that goes on has made no progress for STALLED_AFTER."""
    return run.state is State.RUNNING and now - _last_progress(run) >= STALLED_AFTER


def minutes_without_progress(run: JobRun, now: datetime) -> int:
    return int((now - _last_progress(run)).total_seconds() // 60)


def _last_progress(run: JobRun) -> datetime:
    return run.progressed_at or run.started_at or run.created_at


def state_words(run: JobRun, now: datetime) -> str:
    """Returns the state of a run for people: also that it is stalled, ends soon, or waits for its next try."""
    if run.state is State.RUNNING:
        return "being cancelled" if run.cancelling else "stalled" if is_stalled(run, now) else "running"
    if run.state is State.WAITING and run.not_before > now:
        return f"waiting until {run.not_before.astimezone(UTC):%H:%M:%S} UTC"
    return run.state.value


def tone(run: JobRun, now: datetime) -> str:
    """Returns the name of a state's colour: good, bad, or that of what is open."""
    if run.state is State.COMPLETED:
        return "kept"
    return "failed" if run.state is State.FAILED or is_stalled(run, now) else "open"


def progress_words(run: JobRun) -> str:
    """Returns how much a run has done, as in "3 of 10: 2026-01-03"; empty before its first step."""
    if run.done is None:
        return run.message or ""
    done = f"{run.done:,} of {run.total:,}" if run.total is not None else f"{run.done:,} done"
    return f"{done}: {run.message}" if run.message else done


def reason_words(run: JobRun) -> str:
    """Returns the reason for a run, and who asked for it."""
    words = (
        f"{_REASONS[run.reason]} by {run.asked_by}"
        if run.asked_by and run.reason is Reason.ASKED
        else _REASONS[run.reason]
    )
    return f"{words}, try {run.attempt}" if run.attempt > 1 else words


def missed_words(run: JobRun) -> str:
    """Returns for how many missed due times a run stands; empty for none."""
    if not run.missed:
        return ""
    if run.missed > MAX_MISSED:
        return f"{MAX_MISSED:,}+ due times missed before"
    return f"{counted(run.missed, 'due time')} missed before"


def argument_words(arguments: Mapping[str, str]) -> str:
    """Returns the arguments of a run as in "start=2026-01-01 reset=yes"."""
    return " ".join(f"{name}={value}" for name, value in arguments.items())


def seconds_taken(run: JobRun, now: datetime) -> float | None:
    """Returns the seconds from a run's start to its end, or to now. None before it has started."""
    return None if run.started_at is None else max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())
