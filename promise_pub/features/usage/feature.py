"""The feature of usage, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.usage import api, commands, errors, store, web
from promise_pub.features.usage.condense import usage_job
from promise_pub.features.usage.ports import Journal, UsageReader
from promise_pub.features.usage.settings import UsageSettings
from promise_pub.features.usage.store import StoredUsage
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.jobs import Job
from promise_pub.settings.model import Settings

MakeJournal = Callable[[asyncpg.Pool], Journal]


def feature_of(make_journal: MakeJournal) -> Feature:
    """Returns the feature of usage that is condensed from this journal."""

    @asynccontextmanager
    async def open_usage(server: Surroundings) -> AsyncIterator[OpenFeature]:
        settings = settings_of(server.settings)
        yield with_services(StoredUsage(server.pool, settings), settings, feature)

    def jobs_of(pool: asyncpg.Pool, whole: Settings) -> Sequence[Job]:
        settings = settings_of(whole)
        return [usage_job(pool, make_journal(pool), settings)] if settings.enabled else []

    feature = Feature(
        name="usage",
        folder=Path(__file__).parent,
        sections={"usage": UsageSettings},
        needs=needs_of,
        open=open_usage,
        jobs=jobs_of,
        routes=web.routes,
        operations=api.OPERATIONS,
        schemas=api.schemas,
        tags={"usage": "Different users by day, week, month, quarter, year, and over rolling windows."},
        errors=errors.ENTRIES,
        nav=(NavItem("/usage", "Usage", operators_only=True),),
        add_commands=commands.add_commands,
    )
    return feature


def with_services(reader: UsageReader, settings: UsageSettings, feature: Feature) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=feature, values=web.values_of(reader, settings))


def settings_of(whole: Settings) -> UsageSettings:
    return whole.of("usage", UsageSettings)


def needs_of(settings: Settings) -> Sequence[Need]:
    return store.NEEDS if settings_of(settings).enabled else store.NEEDS_TO_SHOW
