"""Values that cross rooms: frozen, without behaviour beyond describing themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class Mode(StrEnum):
    """When the consumer reads: while rows arrive, or once they are all there."""

    LIVE = "live"
    BATCH = "batch"


class State(StrEnum):
    """Where a run is. The last four are final."""

    QUEUED = "queued"
    NEGOTIATING = "negotiating"
    PUBLISHING = "publishing"
    DRAINING = "draining"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.INTERRUPTED})


class Verdict(StrEnum):
    """Whether the promise held for every accepted row."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Row(NamedTuple):
    """An accepted record. `number` counts accepted rows from 1 and never changes for a file.

    A tuple, not a dataclass: one is made for every row, and a frozen dataclass costs three times as much.
    """

    number: int
    name: str
    mail: str


class Rejected(NamedTuple):
    """A record that cannot be published: the line it starts on (from 1), why, and its first 200 characters."""

    line: int
    reason: str
    excerpt: str


class Batch(NamedTuple):
    """What one chunk of the file held. `offset` and `line` are where the next record starts: a sound checkpoint."""

    rows: Sequence[Row]
    rejected: Sequence[Rejected]
    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file, whole on disk. `name` is what the client called it: data, never a path."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the client asked for. `timeout` in seconds, `rate` in rows a second (0: as fast as it goes)."""

    mode: Mode = Mode.LIVE
    timeout: int = 5
    clear: bool = False
    rate: int = 0


@dataclass(frozen=True, slots=True)
class SessionView:
    """The consumer's session as it told it. None means "not told", never zero."""

    uuid: str
    received: int | None = None
    saved: int | None = None
    duplicates: int | None = None
    invalid: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by fate. read = accepted + rejected; a returned or nacked row is one the consumer never sees."""

    read: int = 0
    rejected: int = 0
    published: int = 0
    confirmed: int = 0
    returned: int = 0
    nacked: int = 0
    resent: int = 0

    @property
    def accepted(self) -> int:
        return self.read - self.rejected


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long each part of a run took, in seconds."""

    queued: float = 0.0
    negotiating: float = 0.0
    publishing: float = 0.0
    draining: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ConfirmLatency:
    """From writing a row's batch to its publisher confirm, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a run failed: the error's stable code and its message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Why accepted rows could not be saved, counted from the stored file and the employees table.

    `in_file`: rows whose mail stands on an earlier row; `held_before`: distinct mails that employees
    held before the run; `too_long`: rows over the table's 127 characters.
    """

    in_file: int = 0
    held_before: int = 0
    too_long: int = 0


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run as it is now: what the ledger keeps, the pages show and the API tells."""

    id: str
    parameters: Parameters
    file: StoredFile
    created_at: datetime
    state: State = State.QUEUED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: Seconds = Seconds()
    counts: Counts = Counts()
    returned_rows: str = ""
    nacked_rows: str = ""
    session: SessionView | None = None
    db_count: int | None = None
    verdict: Verdict | None = None
    explanation: tuple[str, ...] = ()
    confirm_ms: ConfirmLatency | None = None
    position: int | None = None
    error: Fault | None = None

    def as_json(self) -> dict[str, Any]:
        """The run as the API tells it: only JSON types, times in RFC 3339, seconds and milliseconds rounded."""
        return {
            "id": self.id,
            "state": self.state.value,
            "mode": self.parameters.mode.value,
            "timeout": self.parameters.timeout,
            "rate": self.parameters.rate,
            "clear": self.parameters.clear,
            "file": asdict(self.file),
            "created_at": _rfc3339(self.created_at),
            "started_at": _rfc3339(self.started_at),
            "finished_at": _rfc3339(self.finished_at),
            "seconds": {name: round(value, 3) for name, value in asdict(self.seconds).items()},
            "rows": asdict(self.counts),
            "returned_rows": self.returned_rows,
            "nacked_rows": self.nacked_rows,
            "session": _told(self.session),
            "db_count": self.db_count,
            "verdict": self.verdict and self.verdict.value,
            "explanation": list(self.explanation),
            "confirm_ms": self.confirm_ms and _rounded(self.confirm_ms),
            "position": self.position,
            "error": self.error and asdict(self.error),
        }

    def summary(self) -> tuple[str | int | float | None, ...]:
        """The run as one line of a table, its cells in the order of SUMMARY. None is an empty cell."""
        return (
            self.id,
            _rfc3339(self.created_at),
            self.file.name,
            self.parameters.mode.value,
            self.state.value,
            self.verdict and self.verdict.value,
            self.counts.read,
            self.counts.rejected,
            self.counts.confirmed,
            self.session.received if self.session else None,
            self.session.saved if self.session else None,
            round(self.seconds.total, 3),
            self.error.code if self.error else None,
        )


SUMMARY = (
    "id",
    "created_at",
    "file",
    "mode",
    "state",
    "verdict",
    "read",
    "rejected",
    "sent",
    "received",
    "saved",
    "seconds",
    "error",
)
"""The headings of a table of runs."""


def _rfc3339(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _told(session: SessionView | None) -> dict[str, Any] | None:
    """Leaves out what the consumer did not tell of its extensions; `received` and `saved` stay, as null."""
    if session is None:
        return None
    optional = {"duplicates", "invalid"}
    return {k: v for k, v in asdict(session).items() if v is not None or k not in optional}


def _rounded(latency: ConfirmLatency) -> dict[str, float]:
    return {name: round(value, 1) for name, value in asdict(latency).items()}
