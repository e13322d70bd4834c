"""The log lines of a run's life: queued, started, ended."""

from __future__ import annotations

import logging

from promise_pub.errors import find_class
from promise_pub.logs import fields
from promise_pub.records import RunReport, State

log = logging.getLogger(__name__)


def log_queued(report: RunReport) -> None:
    file, parameters = report.file, report.parameters
    log.info(
        "Run queued",
        extra=fields(
            run=report.id,
            file=file.name,
            bytes=file.bytes,
            mode=parameters.mode.value,
            clear=parameters.clear or None,
            resumed=report.session is not None or None,
        ),
    )


def log_started(report: RunReport) -> None:
    log.info("Run started", extra=fields(run=report.id, waited=round(report.seconds.queued, 3)))


def log_ended(report: RunReport) -> None:
    """Logs the verdict, or why there is none, and the counts."""
    counts, session, error = report.counts, report.session, report.error
    log.log(
        logging.WARNING if report.state is State.FAILED else logging.INFO,
        "Run ended",
        extra=fields(
            run=report.id,
            state=report.state.value,
            verdict=report.verdict and report.verdict.value,
            code=error and error.code,
            error=error.message if error and not find_class(error.code).quotes_peer else None,
            read=counts.read,
            rejected=counts.rejected,
            published=counts.published,
            confirmed=counts.confirmed,
            returned=counts.returned or None,
            nacked=counts.nacked or None,
            resent=counts.resent or None,
            session=session and session.uuid,
            received=report.totals.received,
            saved=report.totals.saved,
            seconds=round(report.seconds.total, 3),
        ),
    )
