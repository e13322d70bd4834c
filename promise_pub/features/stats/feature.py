"""The feature of statistics, as it joins the application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.journal.settings import BusSettings
from promise_pub.features.stats import registry
from promise_pub.features.stats.builtin import BUILTIN
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.folding import AbandonableThread, Stuck
from promise_pub.features.stats.keeper import open_keeper
from promise_pub.features.stats.plugins import Found, find_plugins
from promise_pub.features.stats.ports import Journal
from promise_pub.features.stats.settings import StatsSettings
from promise_pub.http.features import Busy, Feature, OpenFeature
from promise_pub.logs import fields
from promise_pub.settings.model import Settings

log = logging.getLogger(__name__)

MAX_LOADING = 20.0  # seconds for plugins to be imported

MakeJournal = Callable[[asyncpg.Pool], Journal]


def feature_of(make_journal: MakeJournal) -> Feature:
    """Returns the feature of statistics that are counted from this journal."""

    @asynccontextmanager
    async def open_statistics(pool: asyncpg.Pool, whole: Settings, busy: Busy) -> AsyncIterator[OpenFeature]:
        """Opens statistics: shown in any case, and counted where the settings want that."""
        settings = whole.of("stats", StatsSettings)
        async with AsyncExitStack() as stack:
            if counts(settings):
                found = await load_plugins()
                category = whole.of("bus", BusSettings).category
                opening = open_keeper(pool, make_journal(pool), found.definitions, settings, category, busy)
                await stack.enter_async_context(opening)
            yield OpenFeature(feature=feature)

    feature = Feature(
        name="stats",
        folder=Path(__file__).parent,
        sections={"stats": StatsSettings},
        needs=needs_of,
        open=open_statistics,
    )
    return feature


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
