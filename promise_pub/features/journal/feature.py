"""The feature of the journal, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.journal import api, commands, errors, store, web
from promise_pub.features.journal.described import describe
from promise_pub.features.journal.keeping import JournalKeeper
from promise_pub.features.journal.ports import Appending, JournalReader
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.features.journal.store import StoredJournal
from promise_pub.http.features import Feature, OpenFeature
from promise_pub.http.keys import NavItem
from promise_pub.settings.model import Settings


@asynccontextmanager
async def open_journal(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[OpenFeature]:
    """Opens the journal. It is kept, and fed by the bus, where the settings enable that, and shown in any case."""
    journal = StoredJournal(pool)
    own, bus = settings.of("journal", JournalSettings), settings.of("bus", BusSettings)
    async with AsyncExitStack() as stack:
        if own.enabled:
            keeper = JournalKeeper(journal, bus.prefix, own.keep, None)
            await stack.enter_async_context(keeper.running())
        messages = describe(settings.rabbit, bus) if own.enabled and bus.enabled and bus.publish else {}
        yield replace(with_services(journal, journal), messages=messages)


def with_services(journal: JournalReader, appending: Appending) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=FEATURE, values=web.values_of(journal, appending))


def needs_of(settings: Settings) -> Sequence[Need]:
    return store.NEEDS if reads_outbox(settings) else store.NEEDS_TO_SHOW


def reads_outbox(settings: Settings) -> bool:
    return settings.of("journal", JournalSettings).enabled


FEATURE = Feature(
    name="journal",
    folder=Path(__file__).parent,
    sections={"journal": JournalSettings, "bus": BusSettings},
    with_local_broker={"bus": {"enabled": "yes"}},
    needs=needs_of,
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
