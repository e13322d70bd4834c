"""States of a run: the one that each end leads to, and the try that follows. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from promise_pub.features.jobs.records import Reason, State


class End(Enum):
    """The reason that a run ended. `FAILED` may pass by itself, `REFUSED` cannot; `STOPPED` is an orderly stop of its
    server, `CUT` the death of one."""

    COMPLETED = auto()
    CANCELLED = auto()
    FAILED = auto()
    REFUSED = auto()
    STOPPED = auto()
    CUT = auto()


@dataclass(frozen=True, slots=True)
class Next:
    """The next try of a run, and how long it waits."""

    reason: Reason
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Waits:
    """The minutes between one try and the next, longer or shorter by a share of them; the last is that of all further ones."""

    minutes: Sequence[float] = (1, 5, 25, 60, 60)
    jitter: float = 0.1

    def after(self, attempt: int) -> timedelta:
        minutes = self.minutes[min(attempt, len(self.minutes)) - 1]
        return timedelta(minutes=minutes * random.uniform(1 - self.jitter, 1 + self.jitter))


def follow(end: End, attempt: int, attempts: int, waits: Waits) -> tuple[State, Next | None]:
    """Returns the state of a run that ended, and its next try. A run that was cut off as the last one of its tries failed."""
    is_last = attempt >= attempts
    match end:
        case End.COMPLETED:
            return State.COMPLETED, None
        case End.CANCELLED:
            return State.CANCELLED, None
        case End.FAILED if not is_last:
            return State.FAILED, Next(Reason.RETRY, waits.after(attempt))
        case End.STOPPED if not is_last:
            return State.INTERRUPTED, Next(Reason.RESUMED, timedelta())
        case End.CUT if not is_last:
            # A server may die once for any reason. A job that kills its servers is given time.
            return State.INTERRUPTED, Next(Reason.RESUMED, waits.after(attempt - 1) if attempt > 1 else timedelta())
    return State.FAILED, None
