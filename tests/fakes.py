"""Stand-ins for the broker, the consumer and the ledger, in memory.

`tests/contract` holds each to the same suite as the real part. What a test wants to go wrong it sets on them.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from promise_pub.consumer.session import ConsumerSession
from promise_pub.delivery.consumer_client.answers import parse_session
from promise_pub.delivery.evidence.digest import fingerprint, written
from promise_pub.delivery.evidence.mail_sum import MailSum
from promise_pub.delivery.evidence.row_fates import InTable
from promise_pub.delivery.input.row_chunks import RowChunk
from promise_pub.delivery.ports import MailException, MailRow, Shipment, Watch
from promise_pub.delivery.store.query import NEWEST_FIRST, RunSelection, Sort
from promise_pub.delivery.telling import NO_NEWS, News
from promise_pub.errors import (
    BrokerError,
    BrokerLost,
    ConsumerComplaint,
    DatabaseError,
    NotClearable,
    NotResumable,
    QueueGone,
    RowsNotReady,
    RunDeleted,
    RunNotFound,
)
from promise_pub.event_records import OutboxEvent
from promise_pub.fates import RowGroup
from promise_pub.parameters import Mode
from promise_pub.records import Rejected, Repeats, Row, RunReport, SessionView, State

EMPLOYEE_LIMIT = 127


@dataclass(frozen=True)
class Message:
    """A message as a reader of the queue sees it."""

    body: bytes
    content_type: str
    delivery_mode: int
    message_id: str
    app_id: str
    timestamp: datetime

    @property
    def mail(self) -> str | None:
        """None where there is no such column."""
        mail: str | None = json.loads(self.body).get("mail")
        return mail


class FakeBroker:
    """Queues, and publishers to them. Confirms come in the next turns of the event loop.

    `away` is raised to who connects; `lose_after` rows the connection ends; a queue in `most` refuses what is over its
    limit; while `holding`, no confirm is sent.
    """

    def __init__(self, window: int = 2048) -> None:
        self.window = window
        self.queues: dict[str, list[Message]] = {}
        self.most: dict[str, int] = {}
        self.away: BrokerError | None = None
        self.lose_after: int | None = None
        self.holding = False
        self.connections = 0
        self.most_unsettled = 0
        self.publishers: list[FakePublisher] = []

    @asynccontextmanager
    async def open_publisher(self, shipment: Shipment) -> AsyncIterator[FakePublisher]:
        await asyncio.sleep(0)
        if self.away:
            raise self.away
        publisher = FakePublisher(self, shipment)
        self.publishers.append(publisher)
        self.connections += 1
        try:
            yield publisher
        finally:
            self.connections -= 1
            await asyncio.sleep(0)

    def take(self, queue: str, message: Message) -> str:
        """What becomes of it: ack, nack or return."""
        if queue not in self.queues:
            return "return"
        if len(self.queues[queue]) >= self.most.get(queue, 1 << 62):
            return "nack"
        self.queues[queue].append(message)
        return "ack"

    def cut(self) -> None:
        """Every connection ends."""
        for publisher in self.publishers:
            publisher.lose()


class FakePublisher:
    def __init__(self, broker: FakeBroker, shipment: Shipment) -> None:
        self.tracker = shipment.tracker
        self.blocked = False
        self._broker = broker
        self._shipment = shipment
        self._queue = ""
        self._lost = False
        self._news = asyncio.Event()

    def route_to(self, queue: str) -> None:
        self._queue = queue

    async def check_queue(self) -> None:
        await asyncio.sleep(0)
        if self._lost:
            raise BrokerLost
        if self._queue not in self._broker.queues:
            raise QueueGone(f"The queue {self._queue} is gone.")

    def lose(self) -> None:
        self._lost = True
        self._news.set()

    async def publish(self, rows: Sequence[Row]) -> None:
        for row in rows:
            await self._until_unsettled(self._broker.window - 1)
            self._write(row)

    async def settle(self) -> None:
        await self._until_unsettled(0)

    def _write(self, row: Row) -> None:
        loop = asyncio.get_running_loop()
        message, digest = self._message(row), self._shipment.digest
        if row.number > digest.through:
            digest.value += fingerprint(message.message_id.encode(), message.body)
            digest.through = row.number
        self.tracker.sent(row.number, 1, loop.time())
        tag = self.tracker.last_tag
        self._broker.most_unsettled = max(self._broker.most_unsettled, self.tracker.unsettled)
        if self._broker.lose_after is not None and tag > self._broker.lose_after:
            loop.call_soon(self.lose)
            return
        loop.call_soon(self._confirm, tag, row.number, self._broker.take(self._queue, message))

    def _confirm(self, tag: int, number: int, outcome: str) -> None:
        loop = asyncio.get_running_loop()
        if self._lost:
            return
        if self._broker.holding:
            loop.call_later(0.005, self._confirm, tag, number, outcome)
            return
        if outcome == "return":
            self.tracker.came_back(number)
        settle = self.tracker.nack if outcome == "nack" else self.tracker.ack
        settle(tag, multiple=False, at=loop.time())
        self._news.set()

    def _message(self, row: Row) -> Message:
        columns = self._shipment.columns
        body = json.dumps(dict(zip(columns, row.fields, strict=True)), ensure_ascii=False).encode()
        return Message(
            body=body,
            content_type="application/json",
            delivery_mode=2,
            message_id=f"{self._shipment.run_id}:{row.number}",
            app_id="promise-pub",
            timestamp=self._shipment.started_at.replace(microsecond=0),
        )

    async def _until_unsettled(self, most: int) -> None:
        while self.tracker.unsettled > most:
            if self._lost:
                raise BrokerLost
            self._news.clear()
            await self._news.wait()


class FakeConsumer:
    """Reads a FakeBroker's queues and saves each mail once, to a FakeLedger's employees if it is given one.

    `fail` holds the error of a call by its name; a call in `hang` never ends. `told` replaces what the session says;
    `look_every` are the seconds between the looks of who follows one.
    """

    def __init__(self, broker: FakeBroker, ledger: FakeLedger | None = None) -> None:
        self.broker = broker
        self.employees = ledger.employees if ledger else []
        self.calls: list[str] = []
        self.fail: dict[str, Exception] = {}
        self.hang: set[str] = set()
        self.told: dict[str, Any] = {}
        self.sent: list[int | None] = []
        self.sessions: dict[str, SessionView] = {}
        self.abandons = True
        self.look_every = 0.01
        self._ids: defaultdict[str, set[str]] = defaultdict(set)

    async def create(self) -> SessionView:
        await self._call("create")
        session = SessionView(uuid=str(uuid.uuid4()), received=0, saved=0)
        self.sessions[session.uuid] = session
        self.broker.queues[session.uuid] = []
        return session

    async def process(self, uuid: str, mode: Mode, idle_timeout: int, sent: int | None, watch: Watch) -> None:
        await self._call(f"process {mode.value}", sent)
        self._known(uuid)
        if mode is Mode.BATCH:
            self._read(uuid)
            watch(self.sessions[uuid])

    async def remove(self, uuid: str, idle_timeout: int, sent: int, watch: Watch) -> SessionView:
        await self._call("remove", sent)
        self._known(uuid)
        self._read(uuid)
        return self._end(uuid)

    async def follow(self, uuid: str, watch: Watch) -> None:
        while True:
            await asyncio.sleep(0)
            if uuid in self.sessions:
                watch(self.sessions[uuid])
            await asyncio.sleep(self.look_every)

    async def get_session(self, uuid: str) -> SessionView:
        await self._call("get_session")
        self._known(uuid)
        return self.sessions[uuid]

    async def abandon(self, uuid: str, sent: int, watch: Watch, within: float) -> bool:
        self.calls.append("abandon")
        await asyncio.sleep(0)
        if not self.abandons or uuid not in self.sessions:
            return False
        watch(self._end(uuid))
        return True

    @asynccontextmanager
    async def holding(self, step: str) -> AsyncIterator[None]:
        """While the block goes, whoever comes to this step waits."""
        gate = asyncio.Event()
        plain = self._call

        async def call(name: str, sent: int | None = None) -> None:
            await plain(name, sent)
            if name == step:
                await gate.wait()

        self._call = call  # type: ignore[method-assign]
        try:
            yield
        finally:
            gate.set()
            self._call = plain  # type: ignore[method-assign]

    async def _call(self, name: str, sent: int | None = None) -> None:
        self.calls.append(name)
        self.sent.append(sent)
        await asyncio.sleep(0)
        if name in self.hang:
            await asyncio.Event().wait()
        if name in self.fail:
            raise self.fail[name]

    def _known(self, uuid: str) -> None:
        if uuid not in self.sessions:
            raise ConsumerComplaint("Not a valid uuid")

    def restart(self) -> None:
        """It forgets its sessions; their queues stay."""
        self.sessions.clear()
        self._ids.clear()

    def _read(self, uuid: str, most: int | None = None) -> None:
        session, queue = self.sessions[uuid], self.broker.queues.get(uuid, [])
        messages = queue[:most]
        saved, digest = 0, int(session.digest or "0", 16)
        for message in messages:
            mail = message.mail
            if mail is not None and len(mail) <= EMPLOYEE_LIMIT and mail not in self.employees:
                self.employees.append(mail)
                saved += 1
            if message.message_id not in self._ids[uuid]:
                self._ids[uuid].add(message.message_id)
                digest += fingerprint(message.message_id.encode(), message.body)
        self.sessions[uuid] = replace(
            session,
            received=(session.received or 0) + len(messages),
            saved=(session.saved or 0) + saved,
            digest=written(digest),
        )
        del queue[: len(messages)]

    def _end(self, uuid: str) -> SessionView:
        self.broker.queues.pop(uuid, None)
        return replace(self.sessions.pop(uuid), **self.told)


class TellingConsumer(FakeConsumer):
    """Tells all that the bundled one tells, by its rules: duplicates, unusable rows, its digest, row numbers.

    While `slow_to_save` what it has read stays in its hand, until the session's end.
    """

    def __init__(self, broker: FakeBroker, ledger: FakeLedger | None = None) -> None:
        super().__init__(broker, ledger)
        self.slow_to_save = False
        self._counts: dict[str, ConsumerSession] = {}

    def _read(self, uuid: str, most: int | None = None) -> None:
        queue = self.broker.queues.get(uuid, [])
        counts = self._counts.setdefault(uuid, ConsumerSession(uuid, "here", datetime.now(UTC)))
        for message in queue[:most]:
            counts.receive(message.message_id, message.body, redelivered=False)
        del queue[:most]
        if most is None or not self.slow_to_save:
            rows = counts.take_pending()
            existing = []
            for row in rows:
                if row.mail in self.employees:
                    existing.append(row)
                else:
                    self.employees.append(row.mail)
            counts.settle(len(rows), len(rows) - len(existing), existing)
        self.sessions[uuid] = parse_session(json.dumps(counts.as_json()), "/getSession/")


def _meets(run: RunReport, which: RunSelection) -> bool:
    return (
        which.state in (None, run.state)
        and which.verdict in (None, run.verdict)
        and which.mode in (None, run.parameters.mode)
        and which.file.lower() in run.file.name.lower()
    )


_KEYS: dict[Sort, Callable[[RunReport], Any]] = {
    Sort.STARTED: lambda run: run.created_at,
    Sort.FILE: lambda run: run.file.name.lower(),
    Sort.SENT: lambda run: run.counts.confirmed,
    Sort.SECONDS: lambda run: run.seconds.total,
}


class FakeLookUp:
    """Mails of a file beside employees, whose `ids` are by mail."""

    def __init__(self, rows: list[MailRow], ids: dict[str, int]) -> None:
        self._rows = rows
        self._ids = ids
        self._held_up_to = 0

    async def count_repeats(self, highest_before: int) -> Repeats:
        times = Counter(mail for _, mail, earlier, _ in self._rows if mail is not None and not earlier)
        before = {mail for _, mail, earlier, _ in self._rows if mail is not None and earlier}
        found = {mail: self._ids[mail] for mail in times if mail in self._ids}
        return Repeats(
            in_file=times.total() - len(times),
            held_before=sum(one <= highest_before for one in found.values()),
            gained=sum(one > highest_before for one in found.values()),
            gone=len(before - self._ids.keys()),
        )

    async def count_cells(self, held_up_to: int) -> dict[tuple[int, InTable], int]:
        self._held_up_to = held_up_to
        return Counter((cell, table) for _, cell, table, _ in self._compared())

    async def list_exceptions(self) -> AsyncIterator[MailException]:
        for line, _, table, first in self._compared():
            if table is not InTable.NEW:
                yield line, table, first

    def _compared(self) -> Iterator[tuple[int, int, InTable, int]]:
        firsts: dict[str | None, int] = {}
        for line, mail, _, cell in self._rows:
            if cell is not None:
                first = firsts.setdefault(mail, line)
                yield line, cell, self._shown(mail, line, first), first

    def _shown(self, mail: str | None, line: int, first: int) -> InTable:
        if mail is None:
            return InTable.LONG
        if first < line:
            return InTable.REPEAT
        if mail not in self._ids:
            return InTable.ABSENT
        return InTable.HELD if self._ids[mail] <= self._held_up_to else InTable.NEW


class FakeRowStore:
    """Chunks by run."""

    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger
        self.chunks: dict[str, list[RowChunk]] = {}

    async def write_chunks(
        self, run_id: str, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        await self._ledger._call("write_chunks")
        if run_id not in self._ledger.runs:
            raise DatabaseError(f"there is no run {run_id}")
        self.chunks[run_id] = [chunk async for chunk in chunks]
        self._ledger.runs[run_id] = replace(self._ledger.runs[run_id], row_groups=tuple(groups()))

    async def write_ended_run(
        self, report: RunReport, chunks: AsyncIterator[RowChunk], groups: Callable[[], Sequence[RowGroup]]
    ) -> None:
        await self._ledger._call("write_ended_run")
        if self._ledger.runs[report.id].row_groups:
            return
        written = [chunk async for chunk in chunks]
        run = self._ledger.runs[report.id]
        if (run.state, run.finished_at) != (report.state, report.finished_at):
            raise RowsNotReady("The run was resumed meanwhile.")
        self.chunks[report.id] = written
        self._ledger.runs[report.id] = replace(run, row_groups=tuple(groups()))

    async def find_chunks(self, run_id: str, groups: Collection[int], after: int, most: int) -> list[RowChunk]:
        await self._ledger._call("find_chunks")
        found = self.chunks.get(run_id, [])
        return [one for one in found if one.place.line > after and one.counts().keys() & {*groups}][:most]

    async def find_chunk_at(self, run_id: str, line: int) -> RowChunk | None:
        await self._ledger._call("find_chunk_at")
        return next((one for one in reversed(self.chunks.get(run_id, [])) if one.place.line <= line), None)


class FakeLedger:
    """`away` is raised by every call while it is set, `not_clearable` by those that clear; `slow` seconds a call takes.

    `writes` are all that were made, `outbox` what was told.
    """

    def __init__(self) -> None:
        self.away: DatabaseError | None = None
        self.not_clearable: NotClearable | None = None
        self.slow = 0.0
        self.runs: dict[str, RunReport] = {}
        self.writes: list[tuple[float, RunReport]] = []
        self.outbox: list[OutboxEvent] = []
        self.calls: list[str] = []
        self.employees: list[str] = []
        self._forgotten = 0  # ids of employees that are gone
        self._rejected: defaultdict[str, dict[int, Rejected]] = defaultdict(dict)
        self.rows = FakeRowStore(self)

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(self.slow)
        if self.away:
            raise self.away

    async def open_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        await self._call("open_run")
        if report.id in self.runs:
            raise DatabaseError(f"there is a run {report.id} already")
        self._write(report, news)

    async def reopen_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        await self._call("reopen_run")
        before = self.runs[report.id]
        if not before.resumable or before.told.number != report.told.number:
            raise NotResumable
        self._write(report, news)

    def _write(self, report: RunReport, news: News) -> None:
        before = self.runs[report.id].told if report.id in self.runs else report.told
        self.runs[report.id] = replace(report, told=news.told or before)
        self.outbox += news.events

    async def find_known(self, run_ids: Collection[str]) -> set[str]:
        await self._call("find_known")
        return {run_id for run_id in run_ids if run_id in self.runs}

    async def find_resumable(self, run_ids: Collection[str]) -> set[str]:
        await self._call("find_resumable")
        known = [self.runs[run_id] for run_id in run_ids if run_id in self.runs]
        return {run.id for run in known if run.state is not State.COMPLETED}

    @asynccontextmanager
    async def exclusive_turn(self, lost: Callable[[], None]) -> AsyncIterator[None]:
        yield

    async def write_run(self, report: RunReport, news: News = NO_NEWS) -> None:
        asked = asyncio.get_running_loop().time()
        await self._call("write_run")
        self.writes.append((asked, report))
        if report.id in self.runs:
            groups = report.row_groups or self.runs[report.id].row_groups
            self._write(replace(report, row_groups=groups), news)

    async def add_rejects(self, run_id: str, rejected: Sequence[Rejected]) -> None:
        await self._call("add_rejects")
        if run_id not in self.runs:
            raise RunDeleted
        for row in rejected:
            self._rejected[run_id].setdefault(row.line, row)

    async def list_rejects(self, run_id: str, most: int) -> list[Rejected]:
        await self._call("list_rejects")
        return sorted(self._rejected[run_id].values())[:most]

    async def get_run(self, run_id: str) -> RunReport:
        await self._call("get_run")
        if run_id not in self.runs:
            raise RunNotFound
        return replace(self.runs[run_id], position=None)

    async def list_runs(
        self, most: int, skip: int = 0, which: RunSelection = NEWEST_FIRST
    ) -> tuple[list[RunReport], int]:
        await self._call("list_runs")
        runs = sorted(
            (run for run in self.runs.values() if _meets(run, which)),
            key=lambda run: (_KEYS[which.sort](run), run.id),
            reverse=which.descending,
        )
        return [replace(run, position=None) for run in runs[skip : skip + most]], len(runs)

    async def require_clearable(self) -> None:
        await self._call("require_clearable")
        if self.not_clearable:
            raise self.not_clearable

    async def clear_employees(self, tell: Callable[[int | None], OutboxEvent]) -> None:
        await self.require_clearable()
        await self._call("clear_employees")
        self.outbox.append(tell(len(self.employees)))
        self._forgotten += len(self.employees)
        self.employees.clear()

    async def count_employees(self) -> int:
        await self._call("count_employees")
        return len(self.employees)

    async def highest_employee_id(self) -> int:
        await self._call("highest_employee_id")
        return self._forgotten + len(self.employees) if self.employees else 0

    async def sum_mails(self, after: int) -> MailSum:
        await self._call("sum_mails")
        summed = MailSum()
        summed.add(self.employees[max(0, after - self._forgotten) :])
        return summed

    @asynccontextmanager
    async def look_up_mails(self, rows: AsyncIterator[MailRow]) -> AsyncIterator[FakeLookUp]:
        await self._call("look_up_mails")
        ids = {mail: self._forgotten + at for at, mail in enumerate(self.employees, 1)}
        yield FakeLookUp([row async for row in rows], ids)


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Waits for what a test watches; fails when it does not come."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is watched are plain values
            await asyncio.sleep(0.001)
