"""How visits join the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.visits import api, commands, errors, store, web
from promise_pub.features.visits.hits import Ids
from promise_pub.features.visits.metrics import HitCollector
from promise_pub.features.visits.middleware import Visiting, record_visits
from promise_pub.features.visits.recorder import Recorder
from promise_pub.features.visits.sessions import Sessions
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.features.visits.store import StoredVisits
from promise_pub.http.features import Feature, OpenFeature
from promise_pub.http.keys import NavItem


@asynccontextmanager
async def open_visits(pool: asyncpg.Pool, settings: VisitsSettings) -> AsyncIterator[OpenFeature]:
    """Opens the record of visits; hits are recorded where the settings enable that, and shown in any case."""
    visits = StoredVisits(pool, timedelta(minutes=settings.idle))
    async with AsyncExitStack() as stack:
        visiting = None
        if settings.enabled:
            sessions = Sessions(visits.last_hit, settings.idle * 60)
            recorder = await stack.enter_async_context(Recorder(visits, settings.keep, sessions.forget))
            visiting = Visiting(recorder, sessions, settings, Ids())
        yield with_services(visits, visiting)


def with_services(visits: StoredVisits, visiting: Visiting | None = None) -> OpenFeature:
    """Returns the feature with these services; without `visiting` no hit is recorded."""
    values = web.values_of(visits, visiting)
    return OpenFeature(feature=FEATURE, values=values, collectors=[HitCollector(visiting.recorder)] if visiting else [])


def needs_of(settings: VisitsSettings) -> Sequence[Need]:
    return store.NEEDS if settings.enabled else store.NEEDS_TO_SHOW


FEATURE = Feature(
    name="visits",
    folder=Path(__file__).parent,
    settings=VisitsSettings,
    needs=needs_of,
    open=open_visits,
    routes=web.routes,
    middlewares=(record_visits,),
    operations=api.OPERATIONS,
    schemas=api.schemas,
    tags={"visits": "Which pages visitors were shown, and where they went next."},
    errors=errors.ENTRIES,
    nav=(NavItem("/visits", "Visits", operators_only=True),),
    add_commands=commands.add_commands,
)
