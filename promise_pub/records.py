"""Values that cross rooms: frozen, without behaviour beyond describing themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.event_records import Told
from promise_pub.fates import Fate, RowGroup
from promise_pub.parameters import Parameters
from promise_pub.resume_state import ResumeState
from promise_pub.samples import Sample

MAX_REJECTS = 10_000
"""Rejected rows of a run that are stored; all are counted."""
MAX_EMPLOYEE_TEXT = 127
"""Characters of a name or a mail in the employees table."""


class State(StrEnum):
    """The state of a run. The last four are final."""

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
    """The judgement of the promise for all accepted rows."""

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
    """The records of one chunk of the file. The next one starts at `offset` and `line`: a sound checkpoint.

    `lines`: where each of the rows starts; empty unless the reader was asked for it.
    """

    rows: Sequence[Row]
    rejected: Sequence[Rejected]
    offset: int
    line: int
    lines: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file, whole on disk. `name` is the client's name for it: data, never a path."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as the consumer reported it. None means "not reported", never zero."""

    uuid: str
    received: int | None = None
    saved: int | None = None
    duplicates: int | None = None
    invalid: int | None = None
    digest: str | None = None
    """Digest of the distinct rows received (see `delivery.evidence.digest`)."""
    rows: str | None = None
    """Numbers of those rows, as in 1-20,25."""
    duplicate_rows: str | None = None
    """Numbers of the distinct rows that were received and not saved because the row or its mail was there already."""
    invalid_rows: str | None = None
    """Numbers of the distinct rows that were received and are not usable."""
    ended: bool | None = None
    """True once the consumer has stopped reading."""

    @property
    def done_with(self) -> int:
        """Messages whose outcome was reported. A consumer saves in the order of its queue, so this many of the first rows
        need no other session.

        Without reported duplicates only saved rows are certain. Unusable rows are left out: a consumer may report them
        while it still holds, and may lose, usable rows that came before.
        """
        return (self.saved or 0) + (self.duplicates or 0)

    @property
    def totals(self) -> ConsumerTotals:
        return ConsumerTotals(self.received, self.saved, self.duplicates, self.invalid)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by fate. read = accepted + rejected; accepted = confirmed + returned + nacked + in_flight + unpublished.

    A returned or nacked row never reaches the consumer. A row in flight waits for its confirm, or to be sent again.
    `resent` counts messages whose rows were published before.
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


@dataclass(frozen=True, slots=True)
class Resent:
    """Rows published more than once, with their `message_id`, and the reason."""

    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session that ended before its run did; its report accounts for the rows from `first` to `last`."""

    session: SessionView
    first: int
    last: int

    @property
    def totals(self) -> ConsumerTotals | None:
        """Its counts of the rows that it accounts for; None where it accounts for no row."""
        if self.last < self.first:
            return None
        session = self.session
        return session.totals.within(self.first, self.last, session.duplicate_rows, session.invalid_rows)


def add_up_sessions(session: SessionView | None, earlier: Iterable[EarlierSession]) -> ConsumerTotals:
    """Returns the sums over a run's sessions: `session` is the last one, None where there is none now."""
    return ConsumerTotals.add_up([*(one.totals for one in earlier), session.totals if session else None])


@dataclass(frozen=True, slots=True)
class Seconds:
    """The duration of each part of a run, in seconds."""

    queued: float = 0.0
    negotiating: float = 0.0
    publishing: float = 0.0
    draining: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ConfirmLatency:
    """Percentiles of the time from writing a row's batch to its publisher confirm, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a run failed: the error's stable code and its message."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Counts of reasons why accepted rows were not saved, from the stored file and the employees table.

    `in_file`: rows whose mail stands on an earlier row; `held_before`: distinct mails that employees
    held before the session; `too_long`: rows over MAX_EMPLOYEE_TEXT. `gained`: distinct mails that employees
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
    TABLE_CHANGED = "table_changed"
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
    started_by: str | None = None
    """The user or the token whose request made the run; None where nobody has to log in."""
    state: State = State.QUEUED
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: Seconds = Seconds()
    counts: Counts = Counts()
    returned_rows: str = ""
    nacked_rows: str = ""
    unconfirmed_rows: str = ""
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
    """Bytes of the file read so far."""
    row_groups: tuple[RowGroup, ...] = ()
    """The records by their fates; empty while that is not worked out."""
    told: Told = field(default=Told(), compare=False)
    """The state of what the journal is told of it: no part of what became of the run."""

    @property
    def fates(self) -> Mapping[Fate, int] | None:
        """The number of records by fate, without those that no record has; None while that is not worked out."""
        counts: Counter[Fate] = Counter()
        for group in self.row_groups:
            counts[group.fate] += group.rows
        return {fate: counts[fate] for fate in Fate if counts[fate]} if self.row_groups else None

    @property
    def totals(self) -> ConsumerTotals:
        """The consumer's counts, added up over all sessions of the run."""
        return add_up_sessions(self.session, self.earlier)

    @property
    def resumable(self) -> bool:
        """True where its state allows to resume it; its file must also be unchanged."""
        return self.state in _RESUMABLE
