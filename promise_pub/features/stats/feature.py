"""The feature of statistics, as it joins the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg

from promise_pub.db import open_pool
from promise_pub.db_checks import Need
from promise_pub.features.journal.settings import BusSettings
from promise_pub.features.stats import api, errors, registry, web
from promise_pub.features.stats.abandonable_thread import AbandonableThread, Stuck
from promise_pub.features.stats.builtin import BUILTIN
from promise_pub.features.stats.commands import StatsCommands
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.insets import INSETS, RUN_STATISTICS, RunStatistics
from promise_pub.features.stats.keeper import open_keeper
from promise_pub.features.stats.metrics import StatsCollector
from promise_pub.features.stats.plugins import Found, find_plugins
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.questions import StatisticsReader
from promise_pub.features.stats.row_queries import StoredStatistics
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.logs import fields
from promise_pub.settings.model import Settings

log = logging.getLogger(__name__)

MAX_LOADING = 20.0  # seconds for plugins to be imported

MakeJournal = Callable[[asyncpg.Pool], Journal]


def feature_of(make_journal: MakeJournal) -> Feature:
    """Returns the feature of statistics that are counted from this journal."""

    @asynccontextmanager
    async def open_statistics(server: Surroundings) -> AsyncIterator[OpenFeature]:
        """Opens statistics: shown in any case, and counted where the settings want that."""
        pool, settings = server.pool, server.settings.of("stats", StatsSettings)
        journal, bus = make_journal(pool), server.settings.of("bus", BusSettings)
        async with AsyncExitStack() as stack:
            collectors = []
            if counts(settings):
                found = await load_plugins()
                opening = open_keeper(pool, journal, found.definitions, settings, bus.category, server.busy)
                collectors.append(StatsCollector(await stack.enter_async_context(opening)))
            opened = with_services(StoredStatistics(pool), journal, bus.prefix, feature)
            stack.push_async_callback(opened.values[RUN_STATISTICS].close)
            yield replace(opened, collectors=collectors)

    feature = Feature(
        name="stats",
        folder=Path(__file__).parent,
        sections={"stats": StatsSettings},
        needs=needs_of,
        open=open_statistics,
        routes=web.routes,
        operations=api.OPERATIONS,
        schemas=api.schemas,
        tags={"statistics": "Counts, percentiles and newest entries, by plugins, from the events of the journal."},
        errors=errors.ENTRIES,
        nav=(NavItem("/stats", "Statistics"),),
        insets=INSETS,
        add_commands=StatsCommands(make_journal, partial(keep_counting, make_journal)).add,
    )
    return feature


def with_services(reader: StatisticsReader, journal: Journal, prefix: str, feature: Feature) -> OpenFeature:
    """Returns the feature with these services."""
    values = {**web.values_of(reader, journal), RUN_STATISTICS: RunStatistics(reader, prefix)}
    return OpenFeature(feature=feature, values=values)


async def keep_counting(make_journal: MakeJournal, whole: Settings) -> None:
    """Counts until it is cancelled, unless a server does: then it waits until that one is gone."""
    found = await load_plugins()
    async with open_pool(whole.database, max_size=3) as pool:
        settings, category = whole.of("stats", StatsSettings), whole.of("bus", BusSettings).category
        async with open_keeper(pool, make_journal(pool), found.definitions, settings, category):
            await asyncio.Event().wait()


def counts(settings: StatsSettings) -> bool:
    """Tells whether this server counts."""
    return settings.enabled and settings.keeper


def needs_of(settings: Settings) -> Sequence[Need]:
    return registry.NEEDS if counts(settings.of("stats", StatsSettings)) else registry.NEEDS_TO_SHOW


async def load_plugins() -> Found:
    """Returns the statistics that can be counted, and logs why others cannot; those that are built in, should a plugin
    hang while it is imported."""
    thread = AbandonableThread()
    try:
        found = await thread.run(find_plugins, MAX_LOADING)
    except Stuck:
        fault = f"Plugins took more than {MAX_LOADING:g} seconds to be loaded: none of them is counted."
        found = Found([define(plugin, ours=True) for plugin in BUILTIN], [fault])
    finally:
        thread.close()
    for fault in found.faults:
        log.error("A plugin cannot be used", extra=fields(why=fault))
    return found
