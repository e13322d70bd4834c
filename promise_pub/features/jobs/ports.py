"""Protocols between the parts of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from promise_pub.features.jobs.records import JobRun, KnownJob


class JobsDesk(Protocol):
    """Jobs and their runs, as pages, API and commands ask for them. Every method raises a kind of DatabaseError."""

    async def known(self) -> Sequence[KnownJob]:
        """Returns every job that a server declared, by name."""

    async def runs(self, job: str | None, limit: int, before: int | None = None) -> Sequence[JobRun]:
        """Returns the newest runs, of a job or of all, those of a number less than `before`."""

    async def newest_runs(self) -> Sequence[JobRun]:
        """Returns of each job the newest run, the newest that has ended, and those that wait or go on."""

    async def run(self, id: int) -> JobRun:
        """Raises JobRunNotFound."""

    async def cookies(self, job: str) -> Mapping[str, Any]:
        """Returns what a job keeps, by name."""

    async def ask(self, job: str, arguments: Mapping[str, str], asked_by: str | None) -> JobRun:
        """Queues a run, or lets the next try of an equal one begin. Raises JobNotFound, or JobWaiting where one with the same
        arguments waits for its turn."""

    async def cancel(self, id: int) -> JobRun:
        """Ends a run that waits, or lets one that goes on end at its next step. Raises JobRunNotFound or JobEnded."""

    async def pause(self, job: str, paused: bool) -> KnownJob:
        """Lets schedules of a job be passed over, or seen to again. Raises JobNotFound."""

    async def now(self) -> datetime:
        """Returns the time of the database, by which jobs are due."""
