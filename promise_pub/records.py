"""Values that cross rooms: frozen, without behaviour beyond describing themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

NAME_AND_MAIL = ("name", "mail")
"""The columns of a file that nobody says more of."""


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


_RESUMABLE = frozenset({State.FAILED, State.CANCELLED, State.INTERRUPTED})
_FINAL = _RESUMABLE | {State.COMPLETED}


class Verdict(StrEnum):
    """Whether the promise held for every accepted row."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Row(tuple[Any, ...]):
    """An accepted record: its number, then its fields in the order of the columns.

    `number` counts accepted rows from 1 and never changes for a file. A tuple, not a dataclass: one is made for every
    row, and a frozen dataclass costs three times as much.
    """

    __slots__ = ()

    def __new__(cls, number: int, *fields: str) -> Self:
        return super().__new__(cls, (number, *fields))

    def __repr__(self) -> str:
        return f"Row{super().__repr__()}"

    @property
    def number(self) -> int:
        return self[0]  # type: ignore[no-any-return]

    @property
    def fields(self) -> tuple[str, ...]:
        return self[1:]


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
    """What the client asked for. `timeout` in seconds, `rate` in rows a second (0: as fast as it goes).

    Of the file: its `columns` are the keys of the messages; with `header` they stand in its first line, and are those
    once a run is made of it. `delimiter` is one character.
    """

    mode: Mode = Mode.LIVE
    timeout: int = 5
    clear: bool = False
    rate: int = 0
    profile: tuple[tuple[int, float], ...] = ()
    """Rows a second, and for how many seconds: step by step, and again from the first. Empty: `rate` holds."""
    columns: tuple[str, ...] = NAME_AND_MAIL
    header: bool = False
    delimiter: str = ","
    encoding: str = "utf-8"

    def as_json(self) -> dict[str, Any]:
        """As they are asked for, in JSON types."""
        return {
            "mode": self.mode.value,
            "timeout": self.timeout,
            "rate": self.rate,
            "clear": self.clear,
            "profile": self.profile_text,
            "columns": list(self.columns),
            "header": self.header,
            "delimiter": self.delimiter_name,
            "encoding": self.encoding,
        }

    @property
    def profile_text(self) -> str | None:
        """The profile as it is asked for, as in 100:10,1000:0.5."""
        return ",".join(f"{rate}:{_decimal(seconds)}" for rate, seconds in self.profile) or None

    @property
    def delimiter_name(self) -> str:
        """The delimiter as it is asked for: a tab has a name."""
        return "tab" if self.delimiter == "\t" else self.delimiter


@dataclass(frozen=True, slots=True)
class SessionView:
    """The consumer's session as it told it. None means "not told", never zero."""

    uuid: str
    received: int | None = None
    saved: int | None = None
    duplicates: int | None = None
    invalid: int | None = None
    digest: str | None = None
    """Of the distinct rows it received (see `delivery.evidence.digest`)."""
    rows: str | None = None
    """Their numbers, as in 1-20,25."""
    ended: bool | None = None
    """Whether it has stopped reading."""

    @property
    def done_with(self) -> int:
        """Messages whose fate it told. It saves in the order of its queue, so so many of the first need no other session.

        Without its duplicates only what it saved is sure. What it could not use it may tell while it still holds, and
        may lose, usable rows that came before: that is left out.
        """
        return (self.saved or 0) + (self.duplicates or 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by fate. read = accepted + rejected; accepted = confirmed + returned + nacked + in_flight + unpublished.

    A returned or nacked row is one the consumer never sees; one in flight waits for its confirm, or to be sent again;
    `resent` counts messages that were rows published before.
    """

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

    @property
    def in_flight(self) -> int:
        return self.published - self.confirmed - self.returned - self.nacked

    @property
    def unpublished(self) -> int:
        return self.accepted - self.published

    def as_json(self) -> dict[str, int]:
        return {**asdict(self), "in_flight": self.in_flight, "unpublished": self.unpublished}


@dataclass(frozen=True, slots=True)
class Resent:
    """Rows that were published more than once, and why: they keep their `message_id`."""

    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session that ended before its run did. What it told makes up for the rows from `first` to `last`."""

    session: SessionView
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a file can be taken up: a record boundary, and what became of the rows before it.

    `offset` in bytes, `line` from 1, `row` the last accepted row before; `digest` over the session's rows up to it.
    """

    row: int = 0
    offset: int = 0
    line: int = 1
    read: int = 0
    rejected: int = 0
    digest: str = ""
    returned_rows: str = ""
    nacked_rows: str = ""


@dataclass(frozen=True, slots=True)
class ResumeState:
    """All that is needed to continue a run in another session or process. The session's rows are those after `after`.

    `employees` and `highest_id` are of the employees table before the session's first row, `resent` is of the run.
    """

    checkpoint: Checkpoint = Checkpoint()
    after: int = 0
    employees: int | None = None
    highest_id: int = 0
    cleared: bool = False
    """Whether the employees table was emptied, if that was asked for."""
    resent: int = 0
    resumed: bool = False
    """Whether an earlier process published to the session: how often, up to its end, the ledger does not know."""
    left_behind: tuple[str, ...] = ()
    """Sessions that the consumer did not say it removed; empty: one that it may have made and did not name."""


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


class Sample(NamedTuple):
    """A run at one moment: `at` in seconds of its work, rows by fate so far, latencies of the confirms since the
    sample before in milliseconds. None: not told, or none came."""

    at: float
    read: int
    published: int
    confirmed: int
    received: int | None
    saved: int | None
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a run failed: the error's stable code and its message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Why accepted rows could not be saved, counted from the stored file and the employees table.

    `in_file`: rows whose mail stands on an earlier row; `held_before`: distinct mails that employees
    held before the session; `too_long`: rows over the table's 127 characters. `gained`: distinct mails that employees
    got since. All of these are of the session's rows; `gone`: distinct mails of rows before it that employees lacks.
    """

    in_file: int = 0
    held_before: int = 0
    too_long: int = 0
    gained: int = 0
    gone: int = 0


class FindingKind(StrEnum):
    """Reasons of a verdict. The values are stable: scripts may test them."""

    # What the broker did.
    RETURNED = "returned"
    NACKED = "nacked"
    UNCONFIRMED = "unconfirmed"
    EXTRA_CONFIRMS = "extra_confirms"
    # What sessions reported that ended before the run did.
    EARLIER_SESSION = "earlier_session"
    EARLIER_SESSION_EMPTY = "earlier_session_empty"
    MAILS_GONE = "mails_gone"
    # What the consumer received.
    RECEIVED_NOT_REPORTED = "received_not_reported"
    NOT_RECEIVED = "not_received"
    RECEIVED_AGAIN = "received_again"
    RECEIVED_TOO_MANY = "received_too_many"
    NO_DIGEST = "no_digest"
    DIGEST_DIFFERS = "digest_differs"
    # What it saved, and why it did not save the rest.
    SAVED_NOT_REPORTED = "saved_not_reported"
    SAVED_MORE_THAN_RECEIVED = "saved_more_than_received"
    SAVED_MORE_THAN_SENT = "saved_more_than_sent"
    NOT_USABLE = "not_usable"
    NOT_USABLE_AGAIN = "not_usable_again"
    DUPLICATE = "duplicate"
    DUPLICATES_UNPROVEN = "duplicates_unproven"
    DUPLICATES_UNCOUNTABLE = "duplicates_uncountable"
    SAVED_BY_OTHERS = "saved_by_others"
    HELD_BEFORE = "held_before"
    TOO_LONG = "too_long"
    NOT_SAVED = "not_saved"
    NOT_SAVED_UNCOUNTABLE = "not_saved_uncountable"
    COUNTS_CONTRADICT = "counts_contradict"
    # What the employees table shows.
    TABLE_DIFFERS = "table_differs"
    COLUMNS_NOT_PROVEN = "columns_not_proven"
    # What may be left at the consumer.
    SESSION_NOT_REMOVED = "session_not_removed"
    SESSION_NOT_NAMED = "session_not_named"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason of a verdict: the verdict it alone would lead to, and how many rows it is about, if it is about rows.

    `facts` are what its sentence names besides; the ledger keeps the sentence, not them.
    """

    kind: FindingKind
    verdict: Verdict
    rows: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "verdict": self.verdict.value, "rows": self.rows}

    @classmethod
    def parse_all(cls, told: Iterable[Mapping[str, Any]]) -> tuple[Self, ...]:
        """Reads findings from JSON. Leaves out kinds that only a newer version knows."""
        known = {kind.value for kind in FindingKind}
        return tuple(
            cls(FindingKind(one["kind"]), Verdict(one["verdict"]), one["rows"]) for one in told if one["kind"] in known
        )


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
    findings: tuple[Finding, ...] = ()
    """One for each sentence of the explanation; none of a run that an older version judged."""
    confirm_ms: ConfirmLatency | None = None
    position: int | None = None
    error: Fault | None = None
    blocked: bool = False
    digest: str | None = None
    resends: tuple[Resent, ...] = ()
    earlier: tuple[EarlierSession, ...] = ()
    resume_state: ResumeState = ResumeState()
    samples: tuple[Sample, ...] = ()
    read_bytes: int = 0
    """How far the file was read."""

    @property
    def resumable(self) -> bool:
        """Whether its state allows to go on with it. Its file must also be as it was."""
        return self.state in _RESUMABLE

    def as_json(self) -> dict[str, Any]:
        """The run as the API tells it: only JSON types, times in RFC 3339, seconds and milliseconds rounded."""
        return {
            "id": self.id,
            "state": self.state.value,
            **self.parameters.as_json(),
            "file": asdict(self.file),
            "created_at": _rfc3339(self.created_at),
            "started_at": _rfc3339(self.started_at),
            "finished_at": _rfc3339(self.finished_at),
            "seconds": {name: round(value, 3) for name, value in asdict(self.seconds).items()},
            "blocked": self.blocked,
            "rows": self.counts.as_json(),
            "read_bytes": self.read_bytes,
            "digest": self.digest,
            "returned_rows": self.returned_rows,
            "nacked_rows": self.nacked_rows,
            "resends": [asdict(resent) for resent in self.resends],
            "session": _told(self.session),
            "earlier_sessions": [
                {"session": _told(one.session), "first_row": one.first, "last_row": one.last} for one in self.earlier
            ],
            "resumable": self.resumable,
            "db_count": self.db_count,
            "verdict": self.verdict and self.verdict.value,
            "explanation": list(self.explanation),
            "findings": [finding.as_json() for finding in self.findings],
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


def _decimal(number: float) -> str:
    """Thousandths at most, and no more digits than it takes."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def _rfc3339(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _told(session: SessionView | None) -> dict[str, Any] | None:
    """Leaves out what the consumer did not tell of its extensions; `received` and `saved` stay, as null."""
    if session is None:
        return None
    told = asdict(session)
    del told["ended"]
    return {k: v for k, v in told.items() if v is not None or k in ("uuid", "received", "saved")}


def _rounded(latency: ConfirmLatency) -> dict[str, float]:
    return {name: round(value, 1) for name, value in asdict(latency).items()}
