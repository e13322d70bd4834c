"""Versions of statistics are begun, and made to fit what is installed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from promise_pub.event_records import MAX_AHEAD
from promise_pub.features.stats.cohorts import Counted
from promise_pub.features.stats.definitions import Definition
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.records import Layout, Registered
from promise_pub.features.stats.registry import Carried, StatsRegistry
from promise_pub.features.stats.versions import Begin, is_counted, make_plan
from promise_pub.logs import fields

log = logging.getLogger(__name__)

BACKLOG = "arrived longer ago than its backlog"


class Standing(NamedTuple):
    """All versions that are known, those that are counted, and the ids of those that nobody needs any more."""

    known: Sequence[Registered]
    counted: Sequence[Counted]
    needless: Sequence[int]


class Registrar:
    """Makes what is installed known to the database."""

    def __init__(self, journal: Journal, registry: StatsRegistry, definitions: Collection[Definition]) -> None:
        self._journal = journal
        self._registry = registry
        self._definitions: Mapping[str, Definition] = {one.layout.name: one for one in definitions}

    async def register(self, now: datetime, *, starting: bool) -> Standing:
        """Makes the versions fit what is installed.

        When it is `starting`, those that were set aside are counted again, and those that have a backlog go on with what
        arrived in it. Raises DatabaseError.
        """
        known = await self._registry.list()
        plan = make_plan([one.layout for one in self._definitions.values()], known, revive=starting)
        for change in plan.change:
            await self._registry.change(change)
        for begin in plan.begin:
            await self._begin(begin, now)
        if plan.change or plan.begin:
            known = await self._registry.list()
        if starting:
            for one in self._counted(known):
                await self._heed_backlog(one, now)
            known = await self._registry.list()
        return Standing(known, self._counted(known), plan.delete)

    def _counted(self, known: Sequence[Registered]) -> Sequence[Counted]:
        return [
            Counted(definition, one)
            for one in known
            if (definition := self._definitions.get(one.layout.name)) and is_counted(one, definition.layout)
        ]

    async def _begin(self, begin: Begin, now: datetime) -> None:
        position = await self._first_position(begin.layout, now)
        counted_from, carried = position + 1, None
        # With every event still there nothing needs to be carried over.
        if begin.older and position:
            counted_from = begin.older.counted_from
            carried = Carried(begin.older.id, await self._horizon(position, now))
        begun = await self._registry.begin(
            begin.layout, position, shown=begin.shown, counted_from=counted_from, carried=carried
        )
        if begun:
            told = fields(statistic=begin.layout.name, version=begin.layout.version, counted_from=counted_from)
            log.debug("A statistic is begun", extra=told)

    async def _first_position(self, layout: Layout, now: datetime) -> int:
        position = (await self._journal.bounds()).oldest - 1
        if layout.backlog is None:
            return position
        return max(position, await self._journal.first_since(now - timedelta(seconds=layout.backlog)) - 1)

    async def _horizon(self, position: int, now: datetime) -> datetime:
        """Returns a moment before which all events up to this position happened.

        Arrivals never fall, and no event happened more than MAX_AHEAD after its arrival.
        """
        following = await self._journal.after(position, 1)
        latest = following[0].received_at if following else now + timedelta(days=1)
        return latest + MAX_AHEAD + datetime.resolution

    async def _heed_backlog(self, one: Counted, now: datetime) -> None:
        position = await self._first_position(one.registered.layout, now)
        if one.registered.layout.backlog is not None and position > one.registered.position:
            await self._registry.skip(one.registered, position, BACKLOG)
