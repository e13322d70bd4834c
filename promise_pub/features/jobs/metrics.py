"""Metrics of jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promise_pub.features.jobs.records import State


class Keeping(Protocol):
    """The one that runs jobs here: runs that it ended by job and state, jobs that go on, and when each was completed last."""

    @property
    def ended(self) -> Mapping[tuple[str, State], int]: ...

    @property
    def running(self) -> Collection[str]: ...

    @property
    def last_completed(self) -> Mapping[str, datetime]: ...


class JobsCollector(Collector):
    """Tells how this server runs these jobs, without asking the database."""

    def __init__(self, keeping: Keeping, jobs: Collection[str]) -> None:
        self._keeping = keeping
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        ended = CounterMetricFamily(
            "promise_pub_job_runs_ended", "Runs of jobs that this server ended.", labels=["job", "state"]
        )
        running = GaugeMetricFamily("promise_pub_job_running", "Whether this server runs the job now.", labels=["job"])
        completed = GaugeMetricFamily(
            "promise_pub_job_last_completed_timestamp_seconds",
            "When a run of the job was completed last, as far as this server knows, in seconds since 1970.",
            labels=["job"],
        )
        for (job, state), count in sorted(self._keeping.ended.items()):
            ended.add_metric([job, state], count)
        for job in self._jobs:
            running.add_metric([job], job in self._keeping.running)
        for job, at in sorted(self._keeping.last_completed.items()):
            completed.add_metric([job], at.timestamp())
        yield from (ended, running, completed)
