"""Jobs and their runs in memory, with a clock that stands still until it is moved; and values to make some of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from promise_pub.errors import BadParameter, DatabaseError
from promise_pub.features.jobs.errors import JobEnded, JobNotFound, JobRunNotFound, JobWaiting
from promise_pub.features.jobs.records import JobRun, KnownJob, Reason, State
from promise_pub.jobs import Argument, Job, Work, read_flag

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def read_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadParameter(f"A day is written as 2026-01-31, not {text[:50]!r}.") from None


async def do_nothing(_: Work) -> None:
    pass


USAGE = Job(
    name="usage",
    title="Condenses the logins of each day.",
    run=do_nothing,
    arguments=(
        Argument(name="start", help="The first day.", read=read_day),
        Argument(name="end", help="The last day.", read=read_day),
        Argument(name="reset", help="Condense again what was condensed.", read=read_flag, is_flag=True),
    ),
)


def a_job(name: str = "usage", **more: Any) -> KnownJob:
    """A job that is due at 01:30 of each day in Berlin, and was seen to today."""
    values: dict[str, Any] = {
        "title": "Condenses the logins of each day.",
        "schedule": "30 1 * * *",
        "zone": "Europe/Berlin",
        "last_due": datetime(2026, 11, 26, 0, 30, tzinfo=UTC),
        "paused": False,
        "seen_at": NOW,
    }
    return KnownJob(name=name, **values | more)


def a_run(id: int = 1, job: str = "usage", state: State = State.WAITING, **more: Any) -> JobRun:
    """A run with the times that go with its state."""
    began = None if state is State.WAITING else NOW - timedelta(minutes=1)
    values: dict[str, Any] = {
        "reason": Reason.ASKED,
        "due": None,
        "missed": 0,
        "arguments": {},
        "asked_by": None,
        "attempt": 1,
        "after": None,
        "not_before": NOW - timedelta(minutes=2),
        "server": None if began is None else 7,
        "created_at": NOW - timedelta(minutes=2),
        "started_at": began,
        "progressed_at": began,
        "ended_at": NOW if state.has_ended else None,
        "done": None,
        "total": None,
        "message": None,
        "error_code": None,
        "error_message": None,
        "cancelling": False,
    }
    return JobRun(id=id, job=job, state=state, **values | more)


class FakeDesk:
    """Satisfies JobsDesk. Tests put jobs, runs and cookies where they want them; `trouble` is raised by every method."""

    def __init__(self, *known: KnownJob) -> None:
        self.at = NOW
        self.jobs = {one.name: one for one in known}
        self.kept: dict[str, dict[str, Any]] = {}
        self.trouble: DatabaseError | None = None
        self._runs: dict[int, JobRun] = {}

    def put(self, *runs: JobRun) -> None:
        self._runs.update((one.id, one) for one in runs)

    def begin(self, id: int) -> None:
        self.put(replace(self._runs[id], state=State.RUNNING, started_at=self.at, server=7))

    def complete(self, id: int) -> None:
        self.put(replace(self._runs[id], state=State.COMPLETED, ended_at=self.at, cancelling=False))

    def fail(self, id: int) -> None:
        """The next try waits for a minute."""
        run = replace(self._runs[id], state=State.FAILED, ended_at=self.at)
        at, reason = self.at + timedelta(minutes=1), Reason.RETRY
        self.put(
            run, a_run(id + 1, run.job, arguments=run.arguments, reason=reason, after=id, attempt=2, not_before=at)
        )

    async def known(self) -> Sequence[KnownJob]:
        self._check()
        return [self.jobs[name] for name in sorted(self.jobs)]

    async def runs(self, job: str | None, limit: int, before: int | None = None) -> Sequence[JobRun]:
        self._check()
        found = [one for one in self._newest_first() if job in (None, one.job) and (before is None or one.id < before)]
        return found[:limit]

    async def newest_runs(self) -> Sequence[JobRun]:
        self._check()
        found: dict[int, JobRun] = {}
        for name in {one.job for one in self._runs.values()}:
            mine = [one for one in self._newest_first() if one.job == name]
            chosen = [mine[0], *[one for one in mine if one.state.has_ended][:1]]
            found |= {one.id: one for one in (*chosen, *(one for one in mine if not one.state.has_ended))}
        return sorted(found.values(), key=lambda one: (one.job, -one.id))

    async def run(self, id: int) -> JobRun:
        self._check()
        if id not in self._runs:
            raise JobRunNotFound(f"There is no run {id}.")
        return self._runs[id]

    async def cookies(self, job: str) -> Mapping[str, Any]:
        self._check()
        return self.kept.get(job, {})

    async def ask(self, job: str, arguments: Mapping[str, str], asked_by: str | None) -> JobRun:
        self._check()
        self._find(job)
        for one in [*self._runs.values()]:
            if (one.job, one.state, dict(one.arguments)) == (job, State.WAITING, dict(arguments)):
                if one.not_before > self.at:
                    self.put(replace(one, not_before=self.at))
                    return self._runs[one.id]
                raise JobWaiting(f"Run {one.id} of {job} waits already.")
        run = a_run(
            max(self._runs, default=0) + 1,
            job,
            arguments=dict(arguments),
            asked_by=asked_by,
            created_at=self.at,
            not_before=self.at,
        )
        self.put(run)
        return run

    async def cancel(self, id: int) -> JobRun:
        run = await self.run(id)
        if run.state.has_ended:
            raise JobEnded(f"Run {id} has ended already: it is {run.state.value}.")
        going = run.state is State.RUNNING
        run = replace(run, cancelling=True) if going else replace(run, state=State.CANCELLED, ended_at=self.at)
        self.put(run)
        return run

    async def pause(self, job: str, paused: bool) -> KnownJob:
        self._check()
        self.jobs[job] = replace(self._find(job), paused=paused)
        return self.jobs[job]

    async def now(self) -> datetime:
        self._check()
        return self.at

    def _newest_first(self) -> list[JobRun]:
        return [self._runs[id] for id in sorted(self._runs, reverse=True)]

    def _find(self, job: str) -> KnownJob:
        if job not in self.jobs:
            raise JobNotFound(f"There is no job {job!r}.")
        return self.jobs[job]

    def _check(self) -> None:
        if self.trouble:
            raise self.trouble
