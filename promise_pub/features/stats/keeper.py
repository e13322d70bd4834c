"""The keeper of statistics: counts what the journal has, in this process or in another, but never in two at once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import asyncpg

from promise_pub.concurrency import wait_or_cancel
from promise_pub.errors import DatabaseError
from promise_pub.features.stats.cohorts import Cohort, Counted, choose_cohorts
from promise_pub.features.stats.counting import CHUNK, CohortCounter
from promise_pub.features.stats.definitions import Definition
from promise_pub.features.stats.fold import Swept
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.records import Registered
from promise_pub.features.stats.registrar import Registrar
from promise_pub.features.stats.retention import Retention
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.features.stats.store import KeeperLost, StatsStore
from promise_pub.features.stats.versions import Change
from promise_pub.logs import fields
from promise_pub.outages import BACKOFF, Outage
from promise_pub.retries import Backoff, raise_if_cancelled

log = logging.getLogger(__name__)

READER = "stats"  # the name of statistics in the journal
LOOK_EVERY = 1.0  # seconds between two looks at the journal
REFRESH_EVERY = 60.0  # seconds between two looks at what others have changed
SWEEP_EVERY = 600.0  # seconds
REST = 10  # times as long as it worked, while a run goes
MAX_HUNG = 2  # statistics, after which plugins of others are not trusted any more
LAST_MOMENT = 0.5  # seconds to end what is under way; what was not committed is counted again

Chore = Callable[[], Awaitable[bool]]
"""Work in pieces between which events are counted. Each call does one, and returns True after the last."""


class StatsKeeper:
    """Counts statistics while `running`, unless somebody else does: then it waits until that one is gone.

    `behind` has the number of events that each statistic lags behind the newest that was seen, by its name; it is empty
    while another counts. `rounds` is how often it has looked for events.
    """

    def __init__(
        self,
        store: StatsStore,
        journal: Journal,
        definitions: Collection[Definition],
        settings: StatsSettings,
        category: int,
        busy: Callable[[], bool] = lambda: False,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._store = store
        self._journal = journal
        self._busy = busy
        self._registrar = Registrar(journal, store, definitions)
        self._counter = CohortCounter(journal, store, category, settings.most_keys, busy)
        self._retention = Retention(settings)
        self._outage = Outage("Statistics are not counted", "Statistics are counted again", backoff)
        self._longest = backoff.longest
        self._counted: dict[int, Counted] = {}
        self._chores: deque[Chore] = deque()
        self._swept: Swept = {}
        self._newest = 0
        self.rounds = 0
        self._is_starting = True
        self._next_look = self._next_refresh = self._next_sweep = 0.0

    @property
    def behind(self) -> Mapping[str, int]:
        return {
            one.definition.layout.name: max(0, self._newest - one.registered.position) for one in self._counted.values()
        }

    @property
    def seconds(self) -> Mapping[str, float]:
        """The seconds that each statistic took to fold events, by its name."""
        return self._counter.seconds

    @property
    def left_out(self) -> Mapping[str, int]:
        """The number of events that each statistic failed at since the start, by its name."""
        return self._counter.left_out

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            # A cancelled query would be waited for, until its connection is closed.
            await wait_or_cancel([task], LAST_MOMENT)
            self._counter.close()

    async def _keep(self) -> None:
        while True:
            raise_if_cancelled()
            delay = LOOK_EVERY
            try:
                async with self._store.keeping() as is_held:
                    await self._count_while(is_held)
            except (DatabaseError, KeeperLost) as error:
                # Whether a transaction was committed whose end was not told, positions tell.
                delay = self._outage.note(error) if isinstance(error, DatabaseError) else LOOK_EVERY
            except Exception:
                log.exception("Statistics are not counted after an unexpected error")
                delay = self._longest
            self._counter.forget()
            self._counted = {}
            await asyncio.sleep(delay)

    async def _count_while(self, is_held: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = self._next_refresh = self._next_sweep = 0.0
        while is_held():
            raise_if_cancelled()
            began = loop.time()
            if began >= self._next_refresh:
                await self._refresh()
            hurries = await self._count_round()
            self._outage.end()
            now = loop.time()
            rest = REST * (now - began) if self._busy() else 0.0
            await asyncio.sleep(rest if hurries else max(rest, self._next_look - now))

    async def _refresh(self) -> None:
        """Reads what others have changed, and plans what is to be deleted. What is not counted yet stays in the journal."""
        now, moment = asyncio.get_running_loop().time(), datetime.now(UTC)
        self._next_refresh = now + REFRESH_EVERY
        standing = await self._registrar.register(moment, starting=self._is_starting)
        self._is_starting = False
        self._counted = {one.registered.id: one for one in standing.counted}
        self._newest = (await self._journal.bounds()).newest
        await self._journal.keep_from(READER, min(self._positions(), default=self._newest))
        self._swept = self._retention.kept_from(
            {width for one in standing.known for width in one.layout.intervals}, moment
        )
        self._chores = deque(partial(self._delete_some, one) for one in standing.needless)
        if now >= self._next_sweep:
            self._chores.append(partial(self._sweep_some, standing.known))

    def _positions(self) -> list[int]:
        return [one.registered.position for one in self._counted.values()]

    async def _delete_some(self, statistic: int) -> bool:
        is_gone = await self._store.delete_some(statistic)
        if is_gone:
            # A version may wait for the number of this one.
            self._next_refresh = 0.0
        return is_gone

    async def _sweep_some(self, known: Sequence[Registered]) -> bool:
        is_done = await self._store.sweep_some(known, self._swept)
        if is_done:
            self._next_sweep = asyncio.get_running_loop().time() + SWEEP_EVERY
        return is_done

    async def _count_round(self) -> bool:
        """Counts what is new, some of what lags, and does a piece of a chore. Returns True where there is more to do."""
        loop = asyncio.get_running_loop()
        cohorts = choose_cohorts(self._counted.values(), self.rounds)
        if loop.time() >= self._next_look:
            began = loop.time()
            caught_up = await self._count(cohorts[0]) if cohorts else True
            self._next_look = began + LOOK_EVERY if caught_up else began
        for lagging in cohorts[1:]:
            await self._count(lagging)
        if self._chores and await self._chores[0]():
            self._chores.popleft()
        self.rounds += 1
        return loop.time() >= self._next_look or len(cohorts) > 1 or bool(self._chores)

    async def _count(self, cohort: Cohort) -> bool:
        """Counts events of a cohort. Returns True when it has counted all that it could."""
        filled = await self._counter.fill(cohort, self._swept)
        for one in await self._counter.commit(filled):
            self._counted[one] = self._counted[one].moved(filled.up_to)
        self._newest = max(self._newest, filled.up_to)
        for one, trouble in filled.troubles.items():
            await self._set_aside(self._counted[one], trouble)
        if self._counter.hung >= MAX_HUNG:
            await self._set_plugins_aside()
        if filled.at_end and cohort.until is None:
            await self._show_those_who_caught_up()
        return filled.at_end

    async def _set_aside(self, one: Counted, trouble: str) -> None:
        """Counts a statistic no longer. It does not keep events in the journal any more."""
        registered = one.registered
        await self._store.change(Change(registered.id, "set_aside", trouble, registered.layout))
        log.warning("A statistic is set aside", extra=fields(statistic=registered.layout.name, why=trouble))
        del self._counted[registered.id]
        self._next_refresh = 0.0

    async def _set_plugins_aside(self) -> None:
        for one in [one for one in self._counted.values() if not one.definition.ours]:
            await self._set_aside(one, f"{MAX_HUNG} statistics hung: plugins are counted again after a restart.")

    async def _show_those_who_caught_up(self) -> None:
        waiting = [one.registered for one in self._counted.values() if not one.registered.shown]
        if not waiting:
            return
        self._newest = (await self._journal.bounds()).newest
        for one in waiting:
            if self._newest - one.position < CHUNK:
                await self._store.show(one)
                log.info("A statistic is shown", extra=fields(statistic=one.layout.name, version=one.layout.version))
                self._next_refresh = 0.0


@asynccontextmanager
async def open_keeper(
    pool: asyncpg.Pool,
    journal: Journal,
    definitions: Collection[Definition],
    settings: StatsSettings,
    category: int,
    busy: Callable[[], bool] = lambda: False,
) -> AsyncIterator[StatsKeeper]:
    """Counts statistics during the block, and yields who does. It never waits for the database."""
    keeper = StatsKeeper(StatsStore(pool), journal, definitions, settings, category, busy)
    async with keeper.running():
        yield keeper
