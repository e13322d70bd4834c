"""Charts: rates out of counts, axes people read, nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.parameters import Parameters
from promise_pub.presentation import charts
from promise_pub.presentation.charts import HEIGHT, WIDTH, nice, rate
from promise_pub.records import RunReport, State, StoredFile
from promise_pub.samples import Sample


def sample(at: float, confirmed: int, received: int | None = None, p99: float | None = 2.0) -> Sample:
    return Sample(at, confirmed, confirmed, confirmed, received, received, p99, p99)


def report(*samples: Sample) -> RunReport:
    return RunReport("id", Parameters(), StoredFile("a.csv", 1, "h"), datetime.now(UTC), samples=samples)


def received(one: Sample) -> int | None:
    return one.received


def confirmed(one: Sample) -> int:
    return one.confirmed


def test_a_rate_is_the_difference_of_counts_over_the_time_between() -> None:
    samples = [sample(0, 0), sample(1, 100), sample(3, 500)]
    assert rate(samples, confirmed) == [[(0, 100), (1, 100), (1, 200), (3, 200)]]


def test_what_is_told_now_and_then_is_spread_over_the_time_between() -> None:
    samples = [sample(at, at, count) for at, count in enumerate([None, 0, 0, 0, 300, 300])]
    assert rate(samples, received) == [[(1, 100), (4, 100), (4, 0), (5, 0)]]


def test_a_long_pause_is_a_pause_and_not_a_low_rate() -> None:
    samples = [sample(at, count) for at, count in enumerate([0, 100, 100, 100, 100, 200])]
    assert rate(samples, confirmed) == [[(0, 100), (1, 100), (1, 0), (4, 0), (4, 100), (5, 100)]]


def test_nothing_is_drawn_over_a_gap_in_which_nobody_looked() -> None:
    """While the server was dead the consumer went on: 900 rows in no time are no rate."""
    before, after = [sample(0, 0), sample(1, 100)], [sample(1.1, 1000)._replace(after_gap=True), sample(2.1, 1100)]
    assert rate([*before, *after], confirmed) == [[(0, 100), (1, 100)], [(1.1, 100), (2.1, 100)]]
    rates, waits = charts.charts(report(*before, *after))
    assert [len(series.path.split("M")[1:]) for series in (*rates.series, *waits.series)] == [2, 2, 2]
    assert max(float(label.replace(",", "")) for label in rates.y_labels) == 100


def test_a_gap_is_empty_in_the_table_too() -> None:
    late = sample(9, 200)._replace(after_gap=True)
    (rates, _) = charts.charts(report(sample(0, 0), sample(3, 100), late, sample(12, 300)))
    assert [row[1] for row in rates.rows] == ["33.3"] * 3 + ["–"] * 5 + ["33.3"] * 4


def test_no_line_of_latencies_stands_where_no_confirm_came() -> None:
    quiet = [sample(at, 10, p99=None) for at in (2, 3, 4)]
    _, waits = charts.charts(report(sample(0, 0), sample(1, 10), *quiet, sample(5, 20), sample(6, 30)))
    assert waits.series[0].path == "M0.0 0.0L166.7 0.0M666.7 0.0L833.3 0.0L1000.0 0.0"


def test_a_run_that_published_nothing_has_no_curve() -> None:
    idle = report(*(sample(at, 0, 0, None) for at in range(5)))
    assert charts.charts(idle) == () and charts.sparkline(idle) == ""


@pytest.mark.parametrize(
    ("state", "samples", "says"),
    [
        (State.NEGOTIATING, (), {"Rate": "when rows are published", "Confirm latency": "when rows are published"}),
        (State.PUBLISHING, (), {"Rate": "when the broker confirms", "Confirm latency": "when the broker confirms"}),
        (
            State.DRAINING,
            (sample(0, 0, p99=None), sample(1, 9, p99=None)),
            {"Confirm latency": "No curve: all rows were confirmed at once."},
        ),
        (State.PUBLISHING, (sample(0, 0), sample(1, 9)), {}),
    ],
)
def test_a_chart_that_is_awaited_says_what_for(state: State, samples: tuple[Sample, ...], says: dict[str, str]) -> None:
    awaited = dict(charts.awaited_charts(replace(report(*samples), state=state)))
    assert awaited.keys() == says.keys()
    assert all(words in awaited[title] for title, words in says.items())


def test_a_session_that_counts_anew_has_no_negative_rate() -> None:
    assert rate([sample(0, 9), sample(1, 0)], confirmed) == [[(0, 0), (1, 0)]]


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
            for point in series.path[1:].replace("M", "L").split("L"):
                x, y = map(float, point.split())
                assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
