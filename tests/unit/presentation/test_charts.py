"""Charts: rates out of counts, axes people read, nothing where there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.parameters import Parameters
from promise_pub.presentation import charts
from promise_pub.presentation.charts import HEIGHT, WIDTH, nice, rate
from promise_pub.records import RunReport, Sample, StoredFile


def sample(at: float, confirmed: int, received: int | None = None, p99: float | None = 2.0) -> Sample:
    return Sample(at, confirmed, confirmed, confirmed, received, received, p99, p99)


def report(*samples: Sample) -> RunReport:
    return RunReport("id", Parameters(), StoredFile("a.csv", 1, "h"), datetime.now(UTC), samples=samples)


def received(one: Sample) -> int | None:
    return one.received


def test_a_rate_is_the_difference_of_counts_over_the_time_between() -> None:
    samples = [sample(0, 0), sample(1, 100), sample(3, 500)]
    assert rate(samples, lambda one: one.confirmed) == [(0, 100), (1, 100), (1, 200), (3, 200)]


def test_what_is_told_now_and_then_is_spread_over_the_time_between() -> None:
    samples = [sample(at, at, count) for at, count in enumerate([None, 0, 0, 0, 300, 300])]
    assert rate(samples, received) == [(1, 100), (4, 100), (4, 0), (5, 0)]


def test_a_session_that_counts_anew_has_no_negative_rate() -> None:
    assert {value for _, value in rate([sample(0, 9), sample(1, 0)], lambda s: s.confirmed)} == {0}


@pytest.mark.parametrize("samples", [[], [sample(0, 0)]])
def test_without_two_samples_there_is_nothing_to_draw(samples: list[Sample]) -> None:
    assert charts.charts(report(*samples)) == ()
    assert charts.sparkline(report(*samples)) == ""


def test_a_chart_has_lines_labels_and_a_table() -> None:
    run = report(sample(0, 0, 0), sample(2, 300, 150), sample(4, 300, 300, None))
    rates, waits = charts.charts(run)
    assert [series.name for series in rates.series] == ["confirmed", "received", "saved"]
    assert rates.y_labels == ("200", "100", "0")
    assert rates.x_labels == ("0 s", "2 s", "4 s")
    assert rates.series[0].path == "M0.0 60.0L500.0 60.0L500.0 240.0L1000.0 240.0"
    assert rates.head == ("After", "confirmed", "received", "saved")
    assert rates.rows[5] == ("2.00 s", "0", "75", "75") and len(rates.rows) == 12
    assert waits.y_labels[0] == "2" and [one.name for one in waits.series] == [
        "p50",
        "p99",
    ]


def test_runs_are_compared_on_the_same_axes() -> None:
    quick, slow = report(sample(0, 0), sample(1, 1000)), report(sample(0, 0), sample(10, 1000))
    drawn = charts.compared([("A", quick), ("B", slow)])
    first, second = drawn[0].series
    assert first.path.endswith("L100.0 0.0") and second.path.endswith("L1000.0 216.0")


@pytest.mark.parametrize(
    ("value", "round_"),
    [(0, 1), (0.3, 0.3), (1, 1), (1.1, 2), (21, 30), (99, 100), (60_123, 80_000)],
)
def test_axes_end_at_round_numbers(value: float, round_: float) -> None:
    assert nice(value) == pytest.approx(round_)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 10**7)), max_size=50))
def test_every_point_is_inside_the_chart(pairs: list[tuple[float, int]]) -> None:
    samples = [sample(at, count, count) for at, count in sorted(pairs)]
    for drawn in charts.charts(report(*samples)):
        for series in drawn.series:
            for point in series.path[1:].split("L"):
                x, y = map(float, point.split())
                assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
