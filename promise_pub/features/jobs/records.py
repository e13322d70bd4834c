"""Frozen values of jobs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """The state of a run. An interrupted one was cut off with its server; another goes on for it."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def has_ended(self) -> bool:
        return self not in (State.WAITING, State.RUNNING)


class Reason(StrEnum):
    """The reason for a run: a due time, a person, a try that failed, or one that was cut off."""

    SCHEDULE = "schedule"
    ASKED = "asked"
    RETRY = "retry"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job as the servers that have it declare it. All due times up to `last_due` were seen to; `seen_at` is when a server
    with this job was there last. `schedule` is the text of its five fields."""

    name: str
    title: str
    schedule: str | None
    zone: str
    last_due: datetime
    paused: bool
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """A run of a job. `due` and `missed` are those of a schedule: a due time, and how many before it the run stands for,
    1,001 where there are more than 1,000. `after` is the run whose next try it is."""

    id: int
    job: str
    reason: Reason
    due: datetime | None
    missed: int
    arguments: Mapping[str, str]
    asked_by: str | None
    state: State
    attempt: int
    after: int | None
    not_before: datetime
    server: int | None
    created_at: datetime
    started_at: datetime | None
    progressed_at: datetime | None
    ended_at: datetime | None
    done: int | None
    total: int | None
    message: str | None
    error_code: str | None
    error_message: str | None
    cancelling: bool
