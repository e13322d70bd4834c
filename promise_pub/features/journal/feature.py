"""The feature of the journal, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from promise_pub.features.journal import api, commands, errors, store, web
from promise_pub.features.journal.bus.publishing import BusPublisher
from promise_pub.features.journal.bus.taking import BusTaker
from promise_pub.features.journal.described import describe
from promise_pub.features.journal.keeping import JournalKeeper
from promise_pub.features.journal.metrics import JournalCollector
from promise_pub.features.journal.ports import Appending, JournalReader
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.features.journal.store import StoredJournal
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.settings.model import Settings


@asynccontextmanager
async def open_journal(server: Surroundings) -> AsyncIterator[OpenFeature]:
    """Opens the journal. It is fed by the outbox and the bus where the settings enable that; shown and swept in any case."""
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
        keeper = JournalKeeper(journal, bus.prefix, own.keep, publisher, takes_outbox=own.enabled)
        await stack.enter_async_context(keeper.running())
        yield replace(opened, collectors=[JournalCollector(keeper, taker, publisher)])


def with_services(journal: JournalReader, appending: Appending) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=FEATURE, values=web.values_of(journal, appending))


def reads_outbox(settings: Settings) -> bool:
    return settings.of("journal", JournalSettings).enabled


FEATURE = Feature(
    name="journal",
    folder=Path(__file__).parent,
    sections={"journal": JournalSettings, "bus": BusSettings},
    with_local_broker={"bus": {"enabled": "yes"}},
    needs=lambda _: store.NEEDS,  # also where it is not kept: events can be posted
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
