"""The feature of jobs, as it joins the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from promise_pub.db_checks import Need
from promise_pub.features.jobs import api, errors, store, web
from promise_pub.features.jobs.commands import JobsCommands, JobsOf
from promise_pub.features.jobs.keeper import open_keeper
from promise_pub.features.jobs.metrics import JobsCollector
from promise_pub.features.jobs.ports import JobsDesk
from promise_pub.features.jobs.settings import JobsSettings
from promise_pub.features.jobs.store import StoredJobs
from promise_pub.http.features import Feature, OpenFeature, Surroundings
from promise_pub.http.keys import NavItem
from promise_pub.jobs import Job
from promise_pub.settings.model import Settings


def feature_of(jobs_of: JobsOf) -> Feature:
    """Returns the feature that runs the jobs of a server. `jobs_of` returns those that can run without one, for commands."""

    @asynccontextmanager
    async def open_jobs(server: Surroundings) -> AsyncIterator[OpenFeature]:
        """Opens jobs: shown and asked for in any case, and run here where the settings enable that."""
        settings = server.settings.of("jobs", JobsSettings)
        async with open_keeper(server.jobs, server.pool, server.servers, settings) as keeper:
            opened = with_services(StoredJobs(server.pool), server.jobs, feature)
            yield replace(opened, collectors=[JobsCollector(keeper, [one.name for one in server.jobs])])

    feature = Feature(
        name="jobs",
        folder=Path(__file__).parent,
        sections={"jobs": JobsSettings},
        needs=needs_of,
        open=open_jobs,
        routes=web.routes,
        operations=api.OPERATIONS,
        schemas=api.schemas,
        tags={"jobs": "What is done by the clock, or when somebody asks."},
        errors=errors.ENTRIES,
        nav=(NavItem("/jobs", "Jobs", operators_only=True),),
        add_commands=JobsCommands(jobs_of).add,
    )
    return feature


def needs_of(settings: Settings) -> Sequence[Need]:
    return store.NEEDS if settings.of("jobs", JobsSettings).enabled else store.NEEDS_TO_SHOW


def with_services(desk: JobsDesk, declared: Sequence[Job], feature: Feature) -> OpenFeature:
    """Returns the feature with these services."""
    return OpenFeature(feature=feature, values=web.values_of(desk, declared))
