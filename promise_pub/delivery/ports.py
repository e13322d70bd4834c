"""Protocols of the broker, the consumer and the ledger. Real parts and the tests' fakes pass the same contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.evidence.mail_sum import MailSum
from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.input.row_chunks import RowChunk
from promise_pub.delivery.telling import NO_NEWS, News
from promise_pub.event_records import OutboxEvent
from promise_pub.fates import RowGroup
from promise_pub.parameters import Mode
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import Rejected, Repeats, Row, RunReport, SessionView

Watch = Callable[[SessionView], None]
"""Called with the session as it is seen while a long call waits."""


class Consumer(Protocol):
    """The remote consumer. Every method raises a kind of ConsumerError."""

    async def create(self) -> SessionView:
        """Makes a session; its queue is declared when this returns. Never retried: each request may make another session.

        An error names in `last` a session that was made all the same. `unanswered` means that there may be one.
        """

    async def process(self, uuid: str, mode: Mode, idle_timeout: int, sent: int | None, watch: Watch) -> None:
        """Makes the consumer read. Live: returns at once. Batch: returns when the queue is empty."""

    async def remove(self, uuid: str, idle_timeout: int, sent: int, watch: Watch) -> SessionView:
        """Ends the session and returns its final counts."""

    async def get_session(self, uuid: str) -> SessionView:
        """Returns the session as it is now."""

    async def follow(self, uuid: str, watch: Watch) -> None:
        """Calls `watch` once a second with the session as it is, until cancelled. Failures are ignored."""

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        """Ends the session of a failed run `within` seconds. Returns True if the consumer confirmed it. Never raises."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """The account of the rows published to one session, over all its connections."""

    run_id: UUID
    started_at: datetime
    tracker: ConfirmTracker
    digest: RowDigest
    earlier: int = 0
    """The number of confirmed rows that belong to earlier sessions."""
    columns: Sequence[str] = NAME_AND_MAIL
    """The keys of the messages."""


class Publisher(Protocol):
    """A connection that publishes rows to one queue with publisher confirms. Raises BrokerLost once it has ended."""

    @property
    def tracker(self) -> ConfirmTracker:
        """The fate of the rows published so far."""

    @property
    def blocked(self) -> bool:
        """True while the broker does not read, because of an alarm of its memory or disk."""

    def route_to(self, queue: str) -> None:
        """Sets the queue, before the first row."""

    async def check_queue(self) -> None:
        """Raises QueueGone when the queue is not there."""

    async def publish(self, rows: Sequence[Row]) -> None:
        """Writes rows in ascending order, new ones without gaps; waits while the window is full."""

    async def settle(self) -> None:
        """Waits until every published row is confirmed, returned or nacked."""


class OpenPublisher(Protocol):
    """Connects to the broker. Raises BrokerUnreachable or BrokerRefused."""

    def __call__(self, shipment: Shipment) -> AbstractAsyncContextManager[Publisher]: ...


class RunLedger(Protocol):
    """Runs and rejected rows in PostgreSQL. Every method raises a kind of DatabaseError.

    News go to the outbox in the transaction that makes them true: both are written, or neither.
    """

    @property
    def rows(self) -> RowStore:
        """The fates of their records."""

    async def open_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        """Adds a run."""

    async def reopen_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        """Queues a run again, which is this server's from now on. Raises NotResumable when it is in progress already, or
        has been since it was as in `report`."""

    async def write_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        """Writes the present state of a run. Raises RunTaken when another server has taken it, RunDeleted when it is gone."""

    async def get_run(self, run_id: str) -> RunReport:
        """Returns a run as it was last written. Raises RunNotFound."""

    async def find_known(self, run_ids: Collection[str]) -> set[str]:
        """Returns the ids that are ids of runs."""

    async def find_resumable(self, run_ids: Collection[str]) -> set[str]:
        """Returns the ids of runs that did not complete."""

    def exclusive_turn(self, lost: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Waits until no other server on this database talks to a consumer, and keeps others from it during the block.

        Calls `lost` once that is no longer certain.
        """

    async def add_rejects(self, run_id: str, rejected: Sequence[Rejected]) -> None:
        """Adds rejected rows of a run. Rows that are there already are ignored. Raises RunDeleted."""

    async def list_rejects(self, run_id: str, most: int) -> list[Rejected]:
        """Returns the first rejected rows of a run, in the order of the file."""

    async def require_clearable(self) -> None:
        """Raises NotClearable when the employees table cannot be emptied, as far as that is known without trying."""

    async def clear_employees(self, tell: Callable[[int | None], OutboxEvent]) -> None:
        """Empties the employees table, and tells how many rows it had; None where that takes long to count.

        Raises NotClearable.
        """

    async def count_employees(self) -> int:
        """Returns the number of rows in the employees table."""

    async def highest_employee_id(self) -> int:
        """Returns the highest id in the employees table, 0 when it is empty."""

    async def sum_mails(self, after: int) -> MailSum:
        """Sums up the mails of rows that employees got after an id."""

    def look_up_mails(self, rows: AsyncIterator[MailRow]) -> AbstractAsyncContextManager[MailLookUp]:
        """Compares the mails of a file with employees, in constant memory. The block holds one transaction."""


MailRow = tuple[int, str | None, bool, int | None]
"""A row of a file to look up: its line; its mail, None where employees cannot hold the row; whether it belongs to an
earlier session; and the cell that it is counted in, None for a row that the consumer did not receive."""

MailException = tuple[int, InTable, int]
"""A row that is not new in employees: its line, what employees shows, and the line of the first row with its mail."""


class MailLookUp(Protocol):
    """The mails of one file beside employees. Every method raises a kind of DatabaseError."""

    async def count_repeats(self, highest_before: int) -> Repeats:
        """Counts the reasons why rows could not be saved, but for those that are too long."""

    async def count_cells(self, held_up_to: int) -> Mapping[tuple[int, InTable], int]:
        """Counts the rows of each cell by what employees shows; ids up to `held_up_to` are older than the run."""

    def list_exceptions(self) -> AsyncIterator[MailException]:
        """Yields the rows that `count_cells` found not to be new, by line."""


class RowStore(Protocol):
    """The fates of the records of runs. Every method raises a kind of DatabaseError."""

    async def write_chunks(
        self, run_id: str, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        """Replaces the chunks of a run, and its groups once the chunks are made: all or none of them."""

    async def write_ended_run(
        self, report: RunReport, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        """Replaces the chunks of a run that has ended, and its groups, which are asked for after the last chunk.

        Raises RowsNotReady, and writes nothing, where the run has gone on since it ended as in `report`.
        """

    async def find_chunks(self, run_id: str, groups: Collection[int], after: int, most: int) -> list[RowChunk]:
        """Returns the first chunks that begin on a line after `after` and hold a record of one of the groups."""

    async def find_chunk_at(self, run_id: str, line: int) -> RowChunk | None:
        """Returns the last chunk that begins on this line or before it."""
