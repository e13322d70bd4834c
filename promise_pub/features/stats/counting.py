"""Events of a cohort, read and folded until they fill a transaction; and that transaction."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from promise_pub import event_records
from promise_pub.concurrency import run_in_thread
from promise_pub.errors import DatabaseError
from promise_pub.features.stats.abandonable_thread import AbandonableThread, Stuck
from promise_pub.features.stats.changes import limit_keys, merge
from promise_pub.features.stats.cohorts import Cohort, Counted
from promise_pub.features.stats.failures import failure_line
from promise_pub.features.stats.fold import Swept, TooManyChanges, fold
from promise_pub.features.stats.given import Batch, as_given
from promise_pub.features.stats.known_keys import KeyCounts
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.records import Changes, KnownKeys
from promise_pub.features.stats.store import StatsStore
from promise_pub.logs import fields
from promise_pub.statistics import Event

log = logging.getLogger(__name__)

CHUNK = 2_000  # events that are read and folded at once
BUSY_CHUNK = 200  # events of a transaction while a run goes: some 20 ms of work
SMALL = 1024**2  # bytes of bodies; the journal reads some four megabytes at once
MAX_EVENTS = 20_000  # of a transaction
MAX_BYTES = 16 * 1024**2  # of their bodies
MAX_ROWS = 50_000  # that a transaction changes
MAX_SECONDS = 1.0  # to fill a transaction
MAX_FOLD = 10.0  # seconds in which a statistic has to fold the events that were read at once
MAX_FAILURES = 1_000  # events in a row at which a statistic may fail
SWEPT = "swept before they were counted"


@dataclass(slots=True)
class Filled:
    """The events that fill a transaction: those after the position of a cohort, up to a number.

    `parts` are the changes of each statistic that is in it, by its id. `gaps` are events that are not there any more:
    those after a number, up to another. `troubles` are those of statistics that are to be set aside. `at_end` tells
    that there was nothing more to count.
    """

    cohort: Cohort
    up_to: int
    parts: dict[int, list[Changes]]
    events: int = 0
    bytes: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    troubles: dict[int, str] = field(default_factory=dict)
    at_end: bool = False

    @property
    def members(self) -> list[Counted]:
        return [one for one in self.cohort.members if one.registered.id in self.parts]

    @property
    def has_room(self) -> bool:
        rows = sum(part.size for parts in self.parts.values() for part in parts)
        return self.events < MAX_EVENTS and self.bytes < MAX_BYTES and rows < MAX_ROWS


class CohortCounter:
    """Counts events in statistics, as many as a transaction takes.

    A statistic that hangs, or changes more rows than fit, stays behind, and the others go on. By the name of each
    statistic `seconds` are those that it took, and `left_out` the events that it failed at.
    """

    def __init__(
        self,
        journal: Journal,
        store: StatsStore,
        category: int,
        most_keys: int,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.left_out: Counter[str] = Counter()
        self.hung = 0
        self._journal = journal
        self._store = store
        self._category = category
        self._busy = busy
        self._keys = KeyCounts(most_keys)
        self._failures: Counter[int] = Counter()
        self._thread = AbandonableThread()

    def forget(self) -> None:
        """Forgets what may not have been committed."""
        self._keys.forget()
        self._failures.clear()

    def close(self) -> None:
        self._thread.close()

    async def fill(self, cohort: Cohort, swept: Swept) -> Filled:
        """Reads and folds the next events. Raises DatabaseError."""
        filled = Filled(cohort, cohort.position, {one.registered.id: [] for one in cohort.members})
        loop = asyncio.get_running_loop()
        ends = loop.time() + MAX_SECONDS
        while True:
            most = BUSY_CHUNK if self._busy() else CHUNK
            read = await self._journal.after(filled.up_to, most)
            if events := _skip_gap(filled, read, most):
                await self._fold_all(filled, events, swept)
            is_full = filled.troubles or not filled.has_room or loop.time() >= ends
            if filled.at_end or is_full or self._busy():
                return filled

    async def _fold_all(self, filled: Filled, read: Sequence[event_records.Event], swept: Swept) -> None:
        events = await self._thread.run(partial(_given, read, self._category), MAX_FOLD)
        while events:
            members = filled.members
            too_large = [one for one in members if not await self._fold(filled, one, events, swept)]
            if len(too_large) < len(members) or not members:
                break
            events = Batch(events[: len(events) // 2])
            filled.at_end = False
        for one in too_large:
            del filled.parts[one.registered.id]
            self._failures.pop(one.registered.id, None)
        filled.up_to = events[-1].seq
        filled.events += len(events)
        filled.bytes += sum(len(event.body) for event in events)

    async def _fold(self, filled: Filled, one: Counted, events: Sequence[Event], swept: Swept) -> bool:
        """Folds events for a statistic. Returns False where they change more rows than fit."""
        number, name = one.registered.id, one.definition.layout.name
        work = partial(_fold_timed, one, events, swept, self._failures[number])
        try:
            changes, seconds, failures, self._failures[number] = await self._thread.run(work, MAX_FOLD)
        except TooManyChanges:
            return False
        except Stuck:
            self.hung += 1
            filled.troubles[number] = f"It hangs: {len(events):,} events took more than {MAX_FOLD:g} seconds."
            del filled.parts[number]
            return True
        except Exception as error:
            log.exception("A statistic cannot be counted after an unexpected error", extra=fields(statistic=name))
            filled.troubles[number] = f"It cannot be counted: {failure_line(error)}"
            del filled.parts[number]
            return True
        filled.parts[number].append(changes)
        self.seconds[name] += seconds
        if failures >= MAX_FAILURES:
            filled.troubles[number] = (
                f"It failed at {MAX_FAILURES:,} events in a row, the last time with {changes.left_out[-1].error}"
            )
        return True

    async def commit(self, filled: Filled) -> Sequence[int]:
        """Writes what was folded, and returns the ids of the statistics whose position moved.

        What PostgreSQL refuses is tried again with each statistic alone, and where it is that one's fault, noted as its
        trouble. Raises KeeperLost, and DatabaseError.
        """
        ids = sorted(filled.parts)
        if not ids or filled.up_to == filled.cohort.position:
            return ids
        try:
            await self._commit(filled, ids)
        except DatabaseError as error:
            if not _is_refusal(error):
                raise
            self.forget()
            return [one for one in ids if await self._commit_alone(filled, one)]
        return ids

    async def _commit_alone(self, filled: Filled, statistic: int) -> bool:
        try:
            await self._commit(filled, [statistic])
        except DatabaseError as error:
            if not _is_refusal(error):
                raise
            self.forget()
            filled.troubles[statistic] = f"Its rows are refused. {error.message}"
            return False
        return True

    async def _commit(self, filled: Filled, ids: Sequence[int]) -> None:
        changes = await run_in_thread(merge, *(part for one in ids for part in filled.parts[one]))
        doubtful = await run_in_thread(self._keys.doubtful, changes)
        known: KnownKeys = {}
        async with self._store.counting() as turn:
            await turn.move(ids, filled.cohort.position, filled.up_to, changes.left_out)
            for after, up_to in filled.gaps:
                await turn.add_gap(ids, after, up_to, SWEPT)
            if doubtful:
                known = await turn.keys_of(doubtful)
                changes = await run_in_thread(limit_keys, changes, known, self._keys.most)
            await turn.add(changes)
        await run_in_thread(self._keys.note, changes, known)
        names = {one.registered.id: one.definition.layout.name for one in filled.cohort.members}
        self.left_out.update(names[one.statistic] for one in changes.left_out)


def _skip_gap(filled: Filled, read: Sequence[event_records.Event], most: int) -> Sequence[event_records.Event]:
    """Returns the events that the cohort has to count, and notes those before that are not there any more."""
    until = filled.cohort.until
    events = read if until is None else [event for event in read if event.seq <= until]
    if events:
        start = events[0].seq
        filled.at_end = events[-1].seq == until if until is not None else _is_last(read, most)
    else:
        start = filled.up_to + 1 if until is None else until + 1
        filled.at_end = True
    if start > filled.up_to + 1:
        filled.gaps.append((filled.up_to, start - 1))
        filled.up_to = start - 1
    return events


def _is_last(read: Sequence[event_records.Event], most: int) -> bool:
    """Tells whether the journal had no more, unless most of the bytes are those of headers."""
    return len(read) < most and sum(len(event.body) for event in read) < SMALL


def _given(read: Sequence[event_records.Event], category: int) -> Batch:
    return Batch(as_given(event, category) for event in read)


def _fold_timed(one: Counted, events: Sequence[Event], swept: Swept, failures: int) -> tuple[Changes, float, int, int]:
    """Returns the changes, the seconds, and at how many events in a row the statistic failed at most, and at the end."""
    began = perf_counter()
    changes = fold(one.definition, one.registered, events, swept)
    seconds = perf_counter() - began
    return changes, seconds, *_failures_in_row(one, events, changes, failures)


def _failures_in_row(one: Counted, events: Sequence[Event], changes: Changes, failures: int) -> tuple[int, int]:
    if not changes.left_out and not failures:
        return 0, 0
    failed, layout = {left_out.seq for left_out in changes.left_out}, one.definition.layout
    most = failures
    for event in events:
        if event.seq in failed:
            failures += 1
            most = max(most, failures)
        elif one.definition.matches(event.topic) and (event.source == "own" or not layout.own):
            failures = 0
    return most, failures


def _is_refusal(error: DatabaseError) -> bool:
    """Tells whether the database refuses values, as opposed to being away, or lacking tables or rights."""
    return type(error) is DatabaseError and not error.passes
