"""Jobs and their runs as all faces tell of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from promise_pub.features.jobs.records import JobRun, KnownJob, State
from promise_pub.features.jobs.words import is_going, is_stalled, minutes_without_progress
from promise_pub.json_text import dump_json
from promise_pub.schedules import Schedule
from promise_pub.times import rfc3339

ABSENT_AFTER = timedelta(minutes=2)  # without a server that has a job: each of them tells once a minute
OVERDUE_AFTER = timedelta(minutes=1)  # that nobody has seen to a due time: servers look each second

JOB_COLUMNS = (
    *(
        "name",
        "title",
        "schedule",
        "schedule_words",
        "timezone",
        "paused",
        "has_server",
        "seen_at",
        "next_due",
        "overdue",
    ),
    *("running", "waiting", "last_run", "last_state", "last_ended_at", "last_missed"),
)
RUN_COLUMNS = (
    *("id", "job", "reason", "due", "missed", "arguments", "asked_by", "state", "attempt", "after", "not_before"),
    *("server", "created_at", "started_at", "progressed_at", "ended_at", "done", "total", "message", "error_code"),
    *("error_message", "cancelling", "stalled"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job at a moment. `schedule` is in words; `next_due` is None where it has none that is seen to, and passed by when
    it is overdue. `last` is the newest run that has ended."""

    known: KnownJob
    at: datetime
    schedule: str
    next_due: datetime | None
    running: JobRun | None
    waiting: Sequence[JobRun]
    last: JobRun | None

    @property
    def has_server(self) -> bool:
        return has_server(self.known, self.at)

    @property
    def overdue(self) -> bool:
        return self.next_due is not None and self.next_due < self.at - OVERDUE_AFTER

    @property
    def is_going(self) -> bool:
        """Tells whether a run goes on, or begins within a second or two."""
        return self.running is not None or any(is_going(run, self.at) for run in self.waiting)

    def list_notes(self) -> Iterator[str]:
        """Yields the sentences about what is not as usual."""
        if self.known.paused:
            yield "It is paused: its due times are passed over."
        if not self.has_server:
            yield "No server has it now: it waits until one with it is there."
        elif self.overdue:
            yield "It is overdue."
        if self.running and is_stalled(self.running, self.at):
            yield f"Run {self.running.id} is stalled: no progress for {minutes_without_progress(self.running, self.at)} minutes."

    def encode(self) -> dict[str, Any]:
        """Returns the job as the API tells it."""
        return {
            **_describe(self),
            "running": self.running and encode_run(self.running, self.at),
            "waiting": [encode_run(run, self.at) for run in self.waiting],
            "last": self.last and encode_run(self.last, self.at),
        }

    def list_cells(self) -> list[object]:
        """Returns the values in the order of JOB_COLUMNS."""
        last = self.last
        cells = {
            **_describe(self),
            "running": self.running and self.running.id,
            "waiting": " ".join(str(run.id) for run in self.waiting),
            "last_run": last and last.id,
            "last_state": last and last.state.value,
            "last_ended_at": last and _moment(last.ended_at),
            "last_missed": last and last.missed,
        }
        return [cells[name] for name in JOB_COLUMNS]


def _describe(status: JobStatus) -> dict[str, Any]:
    known = status.known
    return {
        "name": known.name,
        "title": known.title,
        "schedule": known.schedule,
        "schedule_words": status.schedule,
        "timezone": known.zone,
        "paused": known.paused,
        "has_server": status.has_server,
        "seen_at": rfc3339(known.seen_at),
        "next_due": _moment(status.next_due),
        "overdue": status.overdue,
    }


def judge_jobs(known: Sequence[KnownJob], newest: Sequence[JobRun], now: datetime) -> list[JobStatus]:
    """Returns the state of each job. `newest` has of each the runs that wait or go on, and the newest that has ended."""
    return [judge_job(one, [run for run in newest if run.job == one.name], now) for one in known]


def judge_job(known: KnownJob, newest: Sequence[JobRun], now: datetime) -> JobStatus:
    ended = [run for run in newest if run.state.has_ended]
    return JobStatus(
        known=known,
        at=now,
        schedule=schedule_words(known),
        next_due=next_due(known, now),
        running=next((run for run in newest if run.state is State.RUNNING), None),
        waiting=sorted((run for run in newest if run.state is State.WAITING), key=lambda run: run.id),
        last=max(ended, key=lambda run: run.id, default=None),
    )


def has_server(known: KnownJob, now: datetime) -> bool:
    """Tells whether a server with the job was there within ABSENT_AFTER."""
    return now - known.seen_at <= ABSENT_AFTER


def schedule_of(known: KnownJob) -> Schedule | None:
    """Returns the schedule; None where there is none, or none that this version can read: another may have declared it."""
    try:
        return Schedule(known.schedule, zone_of(known)) if known.schedule is not None else None
    except ValueError:
        return None


def zone_of(known: KnownJob) -> ZoneInfo:
    """Raises ValueError for a zone that is not known here."""
    try:
        return ZoneInfo(known.zone)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"{known.zone[:50]!r} is no time zone that is known here") from None


def schedule_words(known: KnownJob) -> str:
    """Returns the schedule as in "At 01:30 every day, Europe/Berlin"."""
    if known.schedule is None:
        return "Only when asked"
    schedule = schedule_of(known)
    return f"{schedule.words if schedule else known.schedule}, {known.zone}"


def next_due(known: KnownJob, now: datetime) -> datetime | None:
    """Returns the first due time that was not seen to; that of a paused job never is."""
    schedule = schedule_of(known)
    return None if schedule is None or known.paused else schedule.next_due(min(known.last_due, now))


def list_due(known: KnownJob, after: datetime, count: int) -> Iterator[datetime]:
    """Yields the first due times after a moment."""
    schedule = schedule_of(known)
    for _ in range(count if schedule else 0):
        assert schedule
        after = schedule.next_due(after)
        yield after


def encode_run(run: JobRun, now: datetime) -> dict[str, Any]:
    """Returns a run as the API tells it."""
    return {
        "id": run.id,
        "job": run.job,
        "reason": run.reason.value,
        "due": _moment(run.due),
        "missed": run.missed,
        "arguments": dict(run.arguments),
        "asked_by": run.asked_by,
        "state": run.state.value,
        "attempt": run.attempt,
        "after": run.after,
        "not_before": rfc3339(run.not_before),
        "server": run.server,
        "created_at": rfc3339(run.created_at),
        "started_at": _moment(run.started_at),
        "progressed_at": _moment(run.progressed_at),
        "ended_at": _moment(run.ended_at),
        "done": run.done,
        "total": run.total,
        "message": run.message,
        "error_code": run.error_code,
        "error_message": run.error_message,
        "cancelling": run.cancelling and not run.state.has_ended,
        "stalled": is_stalled(run, now),
    }


def list_run_cells(run: JobRun, now: datetime) -> list[object]:
    """Returns the values in the order of RUN_COLUMNS."""
    told = encode_run(run, now) | {"arguments": dump_json(dict(run.arguments))}
    return [told[name] for name in RUN_COLUMNS]


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
