"""Metrics of jobs."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from promise_pub.features.jobs.metrics import JobsCollector
from promise_pub.features.jobs.records import State
from tests.jobs.fake_desk import NOW


def test_runs_are_counted_by_job_and_state() -> None:
    keeping = SimpleNamespace(
        ended=Counter({("usage", State.COMPLETED): 3, ("usage", State.FAILED): 1}),
        running={"sweep"},
        last_completed={"usage": NOW},
    )
    registry = CollectorRegistry()
    registry.register(JobsCollector(keeping, ["usage", "sweep"]))
    lines = generate_latest(registry).decode().splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert {name: float(value) for name, value in told.items()} == {
        'promise_pub_job_runs_ended_total{job="usage",state="completed"}': 3,
        'promise_pub_job_runs_ended_total{job="usage",state="failed"}': 1,
        'promise_pub_job_running{job="usage"}': 0,
        'promise_pub_job_running{job="sweep"}': 1,
        'promise_pub_job_last_completed_timestamp_seconds{job="usage"}': NOW.timestamp(),
    }
