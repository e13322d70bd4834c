"""The curve of a run: dense for short ones, bounded for long ones, its peaks kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.consumer_totals import ConsumerTotals
from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.run.timeline import FIRST_INTERVAL, MAX_SAMPLES, Timeline
from promise_pub.records import Counts
from promise_pub.samples import Sample

NONE_YET = LatencyHistogram()
UNKNOWN = ConsumerTotals()


def counts(confirmed: int) -> Counts:
    return Counts(read=confirmed + 2, rejected=1, published=confirmed + 1, confirmed=confirmed)


def test_a_sample_tells_rows_by_fate_and_the_latencies_since_the_one_before() -> None:
    timeline, latency = Timeline(), LatencyHistogram()
    latency.add(1.0, 10)
    timeline.add(0.0, counts(10), UNKNOWN, latency)
    latency.add(100.0, 10)
    timeline.add(0.05, counts(20), ConsumerTotals(received=5, saved=4), latency)
    timeline.add(0.1, counts(20), ConsumerTotals(received=20), latency)
    first, second, third = timeline.samples
    assert first[:6] == (0.0, 12, 11, 10, None, None) and second[:6] == (0.05, 22, 21, 20, 5, 4)
    assert third[4:8] == (20, None, None, None)
    assert first.p50 and abs(first.p50 - 1) < 0.03
    assert second.p50 and abs(second.p50 - 100) < 3  # not the median of all


def test_a_new_session_counts_its_confirms_anew() -> None:
    timeline = Timeline()
    for at, milliseconds in ((0.0, 1.0), (0.1, 50.0)):
        latency = LatencyHistogram()
        latency.add(milliseconds, 3)
        timeline.add(at, counts(3), UNKNOWN, latency)
    assert [round(sample.p99 or 0) for sample in timeline.samples] == [1, 50]


def test_two_samples_of_nearly_one_moment_are_one() -> None:
    timeline = Timeline()
    timeline.add(1.0, counts(1), UNKNOWN, NONE_YET)
    timeline.add(1.0 + FIRST_INTERVAL / 4, counts(2), UNKNOWN, NONE_YET)
    assert [sample.confirmed for sample in timeline.samples] == [2]


@given(st.integers(1, 5 * MAX_SAMPLES), st.integers(0, 5 * MAX_SAMPLES))
def test_however_many_samples_they_stay_few_in_order_with_the_peak_and_both_ends(length: int, peak: int) -> None:
    timeline, latency = Timeline(), LatencyHistogram()
    for moment in range(length):
        latency.add(500.0 if moment == peak else 1.0, 1)
        timeline.add(moment * FIRST_INTERVAL, counts(moment), UNKNOWN, latency)
    samples = timeline.samples
    assert len(samples) <= MAX_SAMPLES
    assert [sample.at for sample in samples] == sorted({sample.at for sample in samples})
    assert (samples[0].confirmed, samples[-1].confirmed) == (0, length - 1)
    worst = max(sample.p99 or 0 for sample in samples)
    assert (worst > 400) == (peak < length)
    assert timeline.interval == FIRST_INTERVAL or length > MAX_SAMPLES


def test_a_resumed_run_goes_on_with_its_curve() -> None:
    before = [Sample(float(at), 1, 1, at, None, None, None, None) for at in range(MAX_SAMPLES)]
    timeline = Timeline(before)
    timeline.add(500.0, counts(9), UNKNOWN, NONE_YET)
    assert timeline.samples[0] == before[0] and timeline.samples[-1].at == 500.0
    assert len(timeline.samples) <= MAX_SAMPLES


def test_what_nobody_saw_is_a_gap_however_much_is_thinned_out() -> None:
    before = [Sample(float(at), 1, 1, at, None, None, None, None) for at in range(100)]
    timeline = Timeline(before)
    assert timeline.interval == pytest.approx(1, rel=0.02), "as densely as before"
    for at in (100.0, 101.0, 150.0):
        timeline.add(at, counts(9), UNKNOWN, NONE_YET)
    assert [sample.at for sample in timeline.samples if sample.after_gap] == [100.0, 150.0]
    for at in range(151, 1151):
        timeline.add(float(at), counts(9), UNKNOWN, NONE_YET)
    assert len(timeline.samples) <= MAX_SAMPLES
    assert 1 <= sum(sample.after_gap for sample in timeline.samples) <= 2
