"""The feature of the journal, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from promise_pub.features.journal import api, commands, errors, store, web
from promise_pub.features.journal.bus.publishing import BusPublisher
from promise_pub.features.journal.bus.taking import BusTaker
from promise_pub.features.journal.described import describe
from promise_pub.features.journal.keeping import JournalKeeper
from promise_pub.features.journal.metrics import JournalCollector
from promise_pub.features.journal.ports import Appending, JournalReader
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.journal.sweeping import sweep_job
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.jobs import Job
from promise_pub.settings.model import Settings


@asynccontextmanager
async def open_journal(server: Surroundings) -> AsyncIterator[OpenFeature]:
    """Opens the journal. It is fed by the outbox and the bus where the settings enable that; shown in any case."""
    journal, settings = StoredJournal(server.pool), server.settings
    own, bus = settings.of("journal", JournalSettings), settings.of("bus", BusSettings)
    async with AsyncExitStack() as stack:
        opened = with_services(journal, journal)
        taker, publisher = None, None
        if own.enabled and bus.enabled:
            taker = BusTaker(settings.rabbit, bus, journal, (await journal.head()).journal)
            await stack.enter_async_context(taker.running())
            if bus.publish:
                publisher = BusPublisher(settings.rabbit, bus, journal)
                await stack.enter_async_context(publisher.running())
                opened = replace(opened, messages=describe(settings.rabbit, bus))
        if own.enabled:
            keeper = JournalKeeper(journal, bus.prefix, publisher)
            await stack.enter_async_context(keeper.running())
            opened = replace(opened, collectors=[JournalCollector(keeper, taker, publisher)])
        yield opened


def with_services(journal: JournalReader, appending: Appending) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=FEATURE, values=web.values_of(journal, appending))


def jobs_of(pool: asyncpg.Pool, settings: Settings) -> Sequence[Job]:
    own, bus = settings.of("journal", JournalSettings), settings.of("bus", BusSettings)
    return [sweep_job(StoredJournal(pool), own.keep, publishes=own.enabled and bus.enabled and bus.publish)]


def reads_outbox(settings: Settings) -> bool:
    return settings.of("journal", JournalSettings).enabled


FEATURE = Feature(
    name="journal",
    folder=Path(__file__).parent,
    sections={"journal": JournalSettings, "bus": BusSettings},
    with_local_broker={"bus": {"enabled": "yes"}},
    needs=lambda _: store.NEEDS,  # also where it is not kept: events can be posted
    jobs=jobs_of,
    reads_outbox=reads_outbox,
    open=open_journal,
    routes=web.routes,
    operations=api.OPERATIONS,
    schemas=api.schemas,
    tags={"journal": "Every event, numbered in the order of commits."},
    errors=errors.ENTRIES,
    nav=(NavItem("/journal", "Journal", operators_only=True),),
    add_commands=commands.add_commands,
)
