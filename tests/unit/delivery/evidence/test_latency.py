"""Percentiles of confirm latencies in constant memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.latency import LatencyHistogram


def exact(samples: list[float], share: float) -> float:
    """The nearest rank."""
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


@settings(deadline=None)  # a busy machine is no fault of the code
@given(st.lists(st.floats(0.02, 1e7), min_size=1, max_size=200))
def test_percentiles_are_within_two_percent_and_the_maximum_is_exact(samples: list[float]) -> None:
    histogram = LatencyHistogram()
    for sample in samples:
        histogram.add(sample, 1)
    summary = histogram.summary()
    assert summary and summary.max == max(samples)
    for told, share in ((summary.p50, 0.50), (summary.p95, 0.95), (summary.p99, 0.99)):
        assert told == pytest.approx(exact(samples, share), rel=0.0201)
    assert summary.p50 <= summary.p95 <= summary.p99 <= summary.max


def test_many_at_once_weigh_as_many() -> None:
    histogram = LatencyHistogram()
    histogram.add(1, 989)
    histogram.add(100, 11)
    summary = histogram.summary()
    assert summary and summary.p95 == pytest.approx(1, rel=0.02)
    assert summary.p99 == pytest.approx(100, rel=0.02)


def test_nothing_counted_is_no_summary() -> None:
    assert LatencyHistogram().summary() is None


@pytest.mark.parametrize("sample", [0.0, 1e-9, -0.5])
def test_a_clock_too_coarse_to_tell_does_no_harm(sample: float) -> None:
    histogram = LatencyHistogram()
    histogram.add(sample, 3)
    summary = histogram.summary()
    assert summary and summary.p50 == summary.max <= 0.01


def test_memory_does_not_grow_with_what_is_counted() -> None:
    histogram = LatencyHistogram()
    for n in range(1, 100_000):
        histogram.add(n / 7, 1)
    assert len(histogram._buckets) < 1_000
