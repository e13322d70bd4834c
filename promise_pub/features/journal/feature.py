"""The feature of the journal: what it declares, and how its services are opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.journal import api, commands, errors, store, web
from promise_pub.features.journal.ports import Appending, JournalReader
from promise_pub.features.journal.settings import BusSettings, JournalSettings
from promise_pub.features.journal.store import StoredJournal
from promise_pub.http.features import Feature, OpenFeature
from promise_pub.http.keys import NavItem
from promise_pub.settings.model import Settings


@asynccontextmanager
async def open_journal(pool: asyncpg.Pool, _: Settings) -> AsyncIterator[OpenFeature]:
    """Opens the journal."""
    journal = StoredJournal(pool)
    yield with_services(journal, journal)


def with_services(journal: JournalReader, appending: Appending) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=FEATURE, values=web.values_of(journal, appending))


def needs_of(_: Settings) -> Sequence[Need]:
    return store.NEEDS


FEATURE = Feature(
    name="journal",
    folder=Path(__file__).parent,
    sections={"journal": JournalSettings, "bus": BusSettings},
    needs=needs_of,
    open=open_journal,
    routes=web.routes,
    operations=api.OPERATIONS,
    schemas=api.schemas,
    tags={"journal": "Every event, numbered in the order of commits."},
    errors=errors.ENTRIES,
    nav=(NavItem("/journal", "Journal", operators_only=True),),
    add_commands=commands.add_commands,
)
