"""The events that a run makes. Pure: the ledger puts them into the outbox with the change that they are about.

An event tells by how much the rows of each fate have changed since the one before it. The differences are signed, since a
session that is lost unconfirms rows; so the sum over a run's events is its report, whatever happened to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.delivery.evidence.latency import LatencyHistogram, RecentLatency
from promise_pub.event_records import OutboxEvent, Told
from promise_pub.records import Counts, RunReport, State

TELL_EVERY = 10.0  # seconds between two events about the progress of a run

QUEUED, STARTED, PROGRESS, ENDED = "run.queued", "run.started", "run.progress", "run.ended"

_COUNTED = ("read", "rejected", "published", "confirmed", "returned", "nacked", "resent")
REPORTED = {"received": "received", "saved": "saved", "duplicates": "repeats", "invalid": "unusable"}
"""Fates that the consumer reports, each with the name of the run's sum over its sessions."""
FATES = (*_COUNTED, *REPORTED)
"""Fates of rows: in the file and at the broker, and as the consumer reports them."""


@dataclass(frozen=True, slots=True)
class News:
    """The events that a change of a run makes true, and what is told of the run up to them; None: as before."""

    events: Sequence[OutboxEvent] = ()
    told: Told | None = None


NO_NEWS = News()


def count_fates(counts: Counts, totals: ConsumerTotals) -> dict[str, int]:
    """Returns the run's counts and the consumer's together; what the consumer does not report is 0."""
    reported = {fate: getattr(totals, name) or 0 for fate, name in REPORTED.items()}
    return {fate: getattr(counts, fate) for fate in _COUNTED} | reported


class RunTelling:
    """The news of one run. Events are told again, as they were, until their write is known to have succeeded.

    So nothing is told twice with different numbers, and nothing is left out, when the answer to a write is lost.
    """

    def __init__(self, told: Told | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.recorded = self._told = told or Told()
        """The state of the telling that the ledger is known to have."""
        self._clock = clock
        self._told_at = clock()
        self._pending: list[OutboxEvent] = []
        self._turn: datetime | None = None
        self._recent = RecentLatency()
        self._latency = LatencyHistogram()

    def note_turn(self) -> None:
        """Notes that the run has its turn."""
        self._turn = datetime.now(UTC)

    def note_latency(self, latency: LatencyHistogram) -> None:
        """Takes the latencies that came since the last call. Call it before a new session begins with a new histogram."""
        self._latency.merge(self._recent.take(latency))

    def tell(self, report: RunReport) -> News:
        """Returns the news of a report that is about to be written: what is due now, after what is not written yet."""
        for topic in self._due(report):
            self._add(topic, report)
        return News((*self._pending,), self._told) if self._pending else NO_NEWS

    def confirm(self, news: News) -> None:
        """Notes that these news are written."""
        del self._pending[: len(news.events)]
        self.recorded = news.told or self.recorded

    def _due(self, report: RunReport) -> Sequence[str]:
        # A state that only another version knows counts as none.
        told = next((state for state in State if state == self._told.state), None)
        over = told is None or told.final
        if report.state is State.QUEUED:
            return (QUEUED,) if over else ()
        # Otherwise than was told also where a server that tells nothing had it meanwhile.
        if report.state.final and report.state is not told:
            # A quick run ends before anything else was written of its turn.
            return (STARTED, ENDED) if told is State.QUEUED and self._turn else (ENDED,)
        if told is State.QUEUED:
            return (STARTED,)
        if not report.state.final and self._clock() - self._told_at < TELL_EVERY:
            return ()
        changed = self._differences(count_fates(report.counts, report.totals))
        return (PROGRESS,) if changed or not report.state.final and report.state is not told else ()

    def _add(self, topic: str, report: RunReport) -> None:
        """Tells an event. Those before a run goes on tell of no rows: they stay as they were recorded until then."""
        moves = topic in (PROGRESS, ENDED)
        rows = count_fates(report.counts, report.totals) if moves else self._told.rows
        self._pending.append(self._event(topic, report, rows))
        self._told = Told(self._told.number + 1, report.state.value, rows)
        if moves:
            self._told_at = self._clock()
            self._latency = LatencyHistogram()

    def _differences(self, rows: Mapping[str, int]) -> dict[str, int]:
        before = self._told.rows
        return {fate: rows[fate] - before.get(fate, 0) for fate in rows if rows[fate] != before.get(fate, 0)}

    def _event(self, topic: str, report: RunReport, rows: Mapping[str, int]) -> OutboxEvent:
        again = self._told.number > 0
        body: dict[str, Any] = {"run": report.id}
        if topic == QUEUED:
            body |= {"resumed": again, "file": asdict(report.file), "parameters": report.parameters.as_json()}
        elif topic == STARTED:
            body |= {"seconds_queued": round(report.seconds.queued, 3)}
        else:
            buckets = {str(bucket): count for bucket, count in sorted(self._latency.buckets().items())}
            mode = report.parameters.mode.value
            body |= {"rows": self._differences(rows), "state": report.state.value, "mode": mode, "latency": buckets}
        if topic == PROGRESS:
            body |= {"blocked": report.blocked}
        elif topic == ENDED:
            body |= _end(report, rows)
        known = {ENDED: report.finished_at, STARTED: self._turn}.get(topic)
        at = known or (datetime.now(UTC) if again else report.created_at)
        return OutboxEvent(
            message_id=f"{report.id}:e{self._told.number + 1}",
            at=at,
            topic=topic,
            subject=report.id,
            actor=report.started_by,
            body=body,
        )


def _end(report: RunReport, rows: Mapping[str, int]) -> dict[str, Any]:
    return {
        "verdict": report.verdict and report.verdict.value,
        "error": report.error and report.error.code,
        "totals": dict(rows),
        "seconds": {part: round(seconds, 3) for part, seconds in asdict(report.seconds).items()},
        "resends": [asdict(one) for one in report.resends],
        "file": asdict(report.file),
    }


def tell_cleared(report: RunReport, rows: int | None) -> OutboxEvent:
    """Returns the event that a run emptied the table of the consumer, which had so many rows; None: nobody counted them."""
    return OutboxEvent(
        message_id=f"{report.id}:cleared",
        at=datetime.now(UTC),
        topic="employees.cleared",
        subject=report.id,
        actor=report.started_by,
        body={"run": report.id, "rows": rows},
    )
