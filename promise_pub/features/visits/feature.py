"""The feature of visits, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg

from promise_pub.db_checks import Need
from promise_pub.features.visits import api, commands, errors, store, web
from promise_pub.features.visits.client_quota import ClientQuota
from promise_pub.features.visits.disk_quota import DiskQuota, Room
from promise_pub.features.visits.hit_buffer import HitBuffer
from promise_pub.features.visits.hits import HitIds
from promise_pub.features.visits.metrics import HitCollector
from promise_pub.features.visits.middleware import VisitRecording, record_visits
from promise_pub.features.visits.old_hits import sweep_job
from promise_pub.features.visits.sessions import VisitorSessions
from promise_pub.features.visits.settings import VisitsSettings
from promise_pub.features.visits.store import StoredVisits
from promise_pub.features.visits.sweeping import HitSweeper
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.jobs import Job
from promise_pub.settings.model import Settings


@asynccontextmanager
async def open_visits(server: Surroundings) -> AsyncIterator[OpenFeature]:
    """Opens the record of visits; hits are recorded where the settings enable that, and shown in any case."""
    settings = server.settings.of("visits", VisitsSettings)
    visits = _visits(server.pool, settings)
    async with AsyncExitStack() as stack:
        recording = None
        if settings.enabled:
            sessions = VisitorSessions(visits.get_last_hit, settings.idle * 60)
            room = Room(DiskQuota(settings.quota))
            buffer = await stack.enter_async_context(HitBuffer(visits, room, sessions.forget))
            await stack.enter_async_context(HitSweeper(visits, room).running())
            recording = VisitRecording(buffer, sessions, settings, HitIds(), ClientQuota())
        yield with_services(visits, recording)


def with_services(visits: StoredVisits, recording: VisitRecording | None = None) -> OpenFeature:
    """Returns the feature with these services; without `recording` no hit is recorded."""
    values = web.values_of(visits, recording)
    return OpenFeature(feature=FEATURE, values=values, collectors=[HitCollector(recording.buffer)] if recording else [])


def _visits(pool: asyncpg.Pool, settings: VisitsSettings) -> StoredVisits:
    return StoredVisits(pool, timedelta(minutes=settings.idle))


def jobs_of(pool: asyncpg.Pool, settings: Settings) -> Sequence[Job]:
    own = settings.of("visits", VisitsSettings)
    return [sweep_job(_visits(pool, own), own.keep)] if own.enabled else []


def needs_of(settings: Settings) -> Sequence[Need]:
    return store.NEEDS if settings.of("visits", VisitsSettings).enabled else store.NEEDS_TO_SHOW


FEATURE = Feature(
    name="visits",
    folder=Path(__file__).parent,
    sections={"visits": VisitsSettings},
    needs=needs_of,
    jobs=jobs_of,
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
