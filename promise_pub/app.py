"""The composition root: opens everything in order, and closes it in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import asyncpg

from promise_pub import __version__
from promise_pub.accounts import store as accounts
from promise_pub.amqp.connection import probe
from promise_pub.concurrency import read_error, wait_or_cancel
from promise_pub.db import open_pool
from promise_pub.db_checks import Need, require_needs, require_usable
from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.consumer_client.client import open_consumer
from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.run.backoffs import BACKOFFS, Backoffs
from promise_pub.delivery.store import ledger as ledgers
from promise_pub.delivery.store.ledger import Ledger
from promise_pub.delivery.store.locks import ServerLocks
from promise_pub.errors import BrokerRefused, PromisePubError
from promise_pub.event_records import OutboxEvent
from promise_pub.features.jobs.feature import feature_of as jobs_of
from promise_pub.features.journal import feature as journal
from promise_pub.features.journal.store import StoredJournal
from promise_pub.features.stats.feature import feature_of as statistics_of
from promise_pub.features.usage.feature import feature_of as usage_of
from promise_pub.features.visits import feature as visits
from promise_pub.http.features import Feature, Surroundings
from promise_pub.http.intake.limits import Limits
from promise_pub.http.intake.listener import listen
from promise_pub.http.keys import Probe
from promise_pub.http.security import resolve_exposure
from promise_pub.jobs import Job
from promise_pub.logs import fields
from promise_pub.outbox import Outbox, new_message_id
from promise_pub.resources import log_refused_connections
from promise_pub.settings import model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import RabbitSettings, Settings
from promise_pub.web.server import Services, make_app

log = logging.getLogger(__name__)

LAST_WORD = 0.5  # seconds to tell that the server has stopped

FEATURES: Sequence[Feature] = (
    visits.FEATURE,
    journal.FEATURE,
    statistics_of(StoredJournal),
    usage_of(StoredJournal),
    jobs_of(lambda pool, settings: declared_jobs(FEATURES, pool, settings)),
)
"""The rooms beside the heart. A feature is added by its line here, and removed by deleting it and its folder."""


def sections_of(features: Sequence[Feature]) -> model.Sections:
    """Returns every section of the configuration: the heart's and those of these features."""
    return {**model.SECTIONS, **{name: kind for one in features for name, kind in one.sections.items()}}


def declared_jobs(features: Sequence[Feature], pool: asyncpg.Pool, settings: Settings) -> Sequence[Job]:
    """Returns what these features do by the clock."""
    return [job for one in features for job in one.jobs(pool, settings)]


def local_options_of(features: Sequence[Feature]) -> Values:
    """Returns the options of these features that `serve --local` sets where it starts a broker."""
    return {section: dict(given) for one in features for section, given in one.with_local_broker.items()}


@asynccontextmanager
async def running(
    settings: Settings, features: Sequence[Feature] = FEATURES, backoffs: Backoffs = BACKOFFS
) -> AsyncIterator[str]:
    """Runs the web server and yields its URL. Leaving the block stops it in an orderly way, within 10 seconds.

    Raises ConfigurationError, a kind of DatabaseError, StoredFileError or CannotListen when it cannot start.
    """
    exposure = await resolve_exposure(settings.server)
    async with AsyncExitStack() as last, AsyncExitStack() as stack:
        stack.enter_context(log_refused_connections())
        uploads = Uploads(settings.server.uploads, settings.server.max_upload, settings.server.keep_uploads)
        uploads.prepare()
        uploads.close_to_others()
        pool = await stack.enter_async_context(open_pool(settings.database))
        await require_usable(pool)
        await require_needs(pool, _needs(settings, features), makes_tables=True)
        locks = await stack.enter_async_context(ServerLocks(pool))
        outbox = Outbox(pool, read_by_somebody=any(one.reads_outbox(settings) for one in features))
        ledger = Ledger(pool, locks, outbox)
        left_over = await ledger.take_over()
        consumer = await stack.enter_async_context(open_consumer(settings.consumer, backoffs.consumer))
        runs = Runs(
            ledger, consumer, partial(open_publisher, settings.rabbit), uploads, settings.server.max_waiting, backoffs
        )
        await stack.enter_async_context(runs)
        probes: dict[str, Probe] = {
            "broker": partial(_probe_broker, settings.rabbit, runs),
            "database": ledger.check,
            "consumer": consumer.healthcheck,
            "uploads": uploads.check,
        }
        if settings.server.on_restart == "resume":
            await _resume(runs, left_over)
        authenticator = None
        if settings.server.auth == "users":
            opening = accounts.open_authenticator(pool, settings.server.login_hours, outbox)
            authenticator = await stack.enter_async_context(opening)
        around = Surroundings(
            pool=pool,
            settings=settings,
            servers=locks,
            busy=lambda: runs.current is not None,
            jobs=[runs.janitor.job(), *declared_jobs(features, pool, settings)],
        )
        opened = [await stack.enter_async_context(one.open(around)) for one in features]
        services = Services(
            runs=runs,
            ledger=ledger,
            probes=probes,
            broker=settings.rabbit,
            exposure=exposure,
            authenticator=authenticator,
            limits=Limits.of(settings.server),
        )
        app = make_app(services, opened)
        url = await listen(stack, app, settings.server)
        await outbox.put(_event("server.started"))
        stack.push_async_callback(_tell_stopped, outbox)
        # Runs end while the server still listens: those who wait for them get their answer.
        stack.push_async_callback(runs.stop)
        log.info("Listening", extra=fields(url=url, version=__version__))
        last.callback(log.info, "Stopped")
        try:
            yield url
        finally:
            log.info("Stopping")


def _event(topic: str) -> OutboxEvent:
    return OutboxEvent(message_id=new_message_id(), at=datetime.now(UTC), topic=topic, body={"version": __version__})


async def _tell_stopped(outbox: Outbox) -> None:
    telling = asyncio.create_task(outbox.put(_event("server.stopped")))
    # A cancelled query would be waited for, until its connection is closed.
    await wait_or_cancel([telling], LAST_WORD)
    if not telling.done() or telling.exception():
        telling.add_done_callback(read_error)
        log.warning("The end of the server is not told")


async def _probe_broker(settings: RabbitSettings, runs: Runs) -> None:
    """Raises BrokerUnreachable or BrokerRefused.

    Where a limit leaves no connection beside that of the run that is going, the broker is there all the same.
    """
    try:
        await probe(settings)
    except BrokerRefused as error:
        if not (error.passes and runs.current and runs.current.connected):
            raise


def _needs(settings: Settings, features: Sequence[Feature]) -> tuple[Need, ...]:
    """Lists the rights that a server so configured needs. Those that only `clear` takes, a run with it asks for."""
    return (
        *ledgers.NEEDS,
        *(accounts.NEEDS if settings.server.auth == "users" else ()),
        *(need for one in features for need in one.needs(settings)),
    )


async def _resume(runs: Runs, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        try:
            await runs.resume(run_id)
        except PromisePubError as error:
            log.warning("Run %s stays interrupted: %s", run_id, error.message)
