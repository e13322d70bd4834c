"""What the heart needs from the outside world. Real parts and the tests' fakes meet the same contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.parameters import Mode
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.records import Batch, Rejected, Repeats, Row, RunReport, SessionView

Watch = Callable[[SessionView], None]
"""Called with the session as it was seen while a long call waits."""


class Consumer(Protocol):
    """The remote consumer. Every method raises a kind of ConsumerError."""

    async def create(self) -> SessionView:
        """A new session; its queue is declared when this returns. Asked once: asked again it would make another.

        An error says in `last` which session came to be all the same, and in `unanswered` that nobody knows.
        """

    async def process(self, uuid: str, mode: Mode, idle_timeout: int, sent: int | None, watch: Watch) -> None:
        """Live: the consumer reads from now on. Batch: returns when it has read the queue empty."""

    async def remove(self, uuid: str, idle_timeout: int, sent: int, watch: Watch) -> SessionView:
        """Ends the session and returns its final counts."""

    async def get_session(self, uuid: str) -> SessionView:
        """Returns the session as it is now."""

    async def follow(self, uuid: str, watch: Watch) -> None:
        """Looks at the session once a second, until it is cancelled. A look that fails is no news."""

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        """Ends a session whose run failed, within seconds; whether the consumer said that it did. Never raises."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is published to one session, on as many connections as it takes: how far it came, and its digest."""

    run_id: UUID
    started_at: datetime
    tracker: ConfirmTracker
    digest: RowDigest
    earlier: int = 0
    """Confirmed rows that are earlier sessions'."""
    columns: Sequence[str] = NAME_AND_MAIL
    """The keys of the messages."""


class Publisher(Protocol):
    """Publishes rows to one queue with publisher confirms, on one connection; raises BrokerLost with its end."""

    @property
    def tracker(self) -> ConfirmTracker:
        """What became of the rows published so far."""

    @property
    def blocked(self) -> bool:
        """Whether the broker has said that it does not read now: an alarm of its memory or disk."""

    def route_to(self, queue: str) -> None:
        """Names the queue, before the first row."""

    async def check_queue(self) -> None:
        """Raises QueueGone when the queue is not there."""

    async def publish(self, rows: Sequence[Row]) -> None:
        """Writes rows in ascending order, new ones without gaps; waits while the window is full."""

    async def settle(self) -> None:
        """Waits until every published row is confirmed, returned or nacked."""


class OpenPublisher(Protocol):
    """Connects to the broker. Raises BrokerUnreachable or BrokerRefused."""

    def __call__(self, shipment: Shipment) -> AbstractAsyncContextManager[Publisher]: ...


class Ledger(Protocol):
    """Runs and rejected rows in PostgreSQL. Every method raises a kind of DatabaseError."""

    async def open(self, report: RunReport) -> None:
        """A new run."""

    async def reopen(self, report: RunReport) -> None:
        """A run to go on with; from now on it is this server's. Raises NotResumable when it is going already."""

    async def write(self, report: RunReport) -> None:
        """The run as it is now. Raises RunTaken when another server has taken it."""

    async def run(self, run_id: str) -> RunReport:
        """The run as it was last written. Raises RunNotFound."""

    async def known(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these are runs."""

    async def resumable(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these are runs that did not complete."""

    def turn(self, lost: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Waits until no other server on this database talks to a consumer, and keeps it so while the block goes.

        Calls `lost` when that can no longer be promised.
        """

    async def reject(self, run_id: str, rejected: Sequence[Rejected]) -> None:
        """More rejected rows of the run."""

    async def require_clearable(self) -> None:
        """Raises NotClearable where the employees table cannot be emptied, as far as that is known without trying."""

    async def clear_employees(self) -> None:
        """Empties the employees table. Raises NotClearable."""

    async def count_employees(self) -> int:
        """How many rows the employees table holds."""

    async def highest_employee(self) -> int:
        """The highest id in the employees table, 0 when it is empty."""

    async def count_repeats(
        self,
        batches: AsyncIterator[Batch],
        highest_before: int,
        columns: Sequence[str] = NAME_AND_MAIL,
        after: int = 0,
    ) -> Repeats:
        """Why rows could not be saved, in memory that does not grow with the file. One of the columns is `mail`.

        The session's rows are those after the row `after`.
        """
