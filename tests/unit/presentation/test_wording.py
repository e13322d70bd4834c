"""Numbers, times and states in people's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from promise_pub.parameters import RUN_PARAMETERS, Parameters
from promise_pub.presentation import wording
from promise_pub.records import (
    Counts,
    Fault,
    Finding,
    FindingKind,
    RunReport,
    Seconds,
    SessionView,
    State,
    StoredFile,
    Verdict,
)

OTHERS = {
    "mode": "batch",
    "timeout": "7",
    "rate": "100",
    "profile": "10:1",
    "columns": "id,mail",
    "delimiter": ";",
    "encoding": "latin-1",
    "fail_if": "saved < accepted",
}
"""Values other than the defaults; of flags, `true`."""

RUN = RunReport("id", Parameters(), StoredFile("a.csv", 1000, "h"), datetime.now(UTC))
KEPT = replace(
    RUN,
    state=State.COMPLETED,
    verdict=Verdict.KEPT,
    counts=Counts(read=1200, published=1200, confirmed=1200),
    session=SessionView("s", received=1200, saved=1200),
    seconds=Seconds(publishing=2.0, total=3.0),
    read_bytes=1000,
)


def test_a_time_is_told_in_utc_with_the_exact_one_for_scripts() -> None:
    told = wording.moment(datetime(2026, 11, 24, 9, 5, 7, 250_000, UTC))
    assert told == '<time datetime="2026-11-24T09:05:07.250Z">2026-11-24 09:05:07 UTC</time>'
    assert wording.moment(None) == "–"


@pytest.mark.parametrize(
    ("change", "headline", "sentence", "tone", "title"),
    [
        ({"position": 2}, "number 2 in the queue", "in order of arrival", "waiting", "waiting, number 2"),
        ({"state": State.NEGOTIATING}, "Opening a session", "asking the consumer", "going", "negotiating"),
        (
            {"state": State.PUBLISHING, "counts": Counts(10, 0, 9, 8), "read_bytes": 500},
            "Publishing",
            "Rows are sent",
            "going",
            "about 40 % sent",
        ),
        (
            {"state": State.PUBLISHING, "blocked": True},
            "alarm",
            "by itself",
            "blocked",
            "0 % sent",
        ),
        (
            {
                "state": State.DRAINING,
                "counts": Counts(10, 0, 10, 10),
                "session": SessionView("s", 5),
            },
            "Consumer finishing",
            "The verdict follows",
            "going",
            "50 % received",
        ),
        (
            {"state": State.FAILED, "error": Fault("broker_lost", "It was lost.")},
            "The run failed.",
            "It was lost.",
            "failed",
            "failed",
        ),
        (
            {
                "state": State.CANCELLED,
                "error": Fault("cancelled", "The run was cancelled."),
                "counts": Counts(2000, 0, 1500, 1400),
            },
            "The run was cancelled.",
            "1,400 of 2,000 rows were confirmed.",
            "stopped",
            "cancelled",
        ),
        ({"state": State.INTERRUPTED}, "was interrupted", "", "stopped", "interrupted"),
        (
            {"state": State.COMPLETED, "verdict": Verdict.BROKEN},
            "The promise is broken.",
            "Rows are missing",
            "broken",
            "broken",
        ),
        (
            {"state": State.COMPLETED, "verdict": Verdict.UNKNOWN, "counts": Counts(1, 0, 1, 1)},
            "Not proven.",
            "does not match what is known here. Proven: the broker confirmed 1 row.",
            "unknown",
            "unknown",
        ),
    ],
)
def test_a_run_is_told_in_a_headline_a_sentence_and_a_tab(
    change: dict[str, object], headline: str, sentence: str, tone: str, title: str
) -> None:
    run = replace(RUN, **change)  # type: ignore[arg-type]
    assert headline in wording.headline(run) and sentence in wording.sentence(run)
    assert (wording.tone(run), wording.tab_title(run)) == (tone, title)


def test_a_kept_promise_says_of_how_many_rows() -> None:
    assert wording.headline(KEPT) == "The promise is kept."
    assert wording.sentence(KEPT).startswith("All 1,200 accepted rows") and wording.sentence(KEPT).endswith(
        "each saved."
    )
    explained = replace(KEPT, session=SessionView("s", received=1200, saved=1100), explanation=("100 rows …",))
    assert wording.sentence(explained).endswith("each saved or explained.")
    one = replace(KEPT, counts=Counts(1, 0, 1, 1), session=SessionView("s", received=1, saved=1))
    assert wording.sentence(one).startswith("The one accepted row was")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (FindingKind.NOT_RECEIVED, "1,110 of 2,700 rows never reached the consumer."),
        (FindingKind.NACKED, "1,110 of 2,700 rows were refused by the broker."),
        (FindingKind.COUNTS_CONTRADICT, "Rows are missing, or were not saved for no known reason."),
    ],
)
def test_a_broken_promise_says_how_many_rows_were_lost_and_where(kind: FindingKind, says: str) -> None:
    findings = (Finding(FindingKind.DUPLICATE, Verdict.KEPT, 5), Finding(kind, Verdict.BROKEN, 1110))
    counts = Counts(read=2702, rejected=2)
    run = replace(RUN, state=State.COMPLETED, verdict=Verdict.BROKEN, counts=counts, findings=findings)
    assert wording.sentence(run) == says


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "–"),
        (0.2, "0 s"),
        (9.87, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_a_duration_that_is_watched_does_not_flicker(seconds: float | None, told: str) -> None:
    assert wording.roughly(seconds) == told


@pytest.mark.parametrize(("value", "told"), [(None, "–"), (0.25, "0.2"), (9.96, "10.0"), (12_345.6, "12,346")])
def test_a_rate_has_as_many_digits_as_are_worth_reading(value: float | None, told: str) -> None:
    assert wording.rounded(value) == told


def test_a_pace_is_of_the_time_that_rows_went_out() -> None:
    assert wording.pace(KEPT) == 600
    assert wording.pace(RUN) is None


def test_rows_are_expected_by_the_bytes_until_all_are_read() -> None:
    half = replace(RUN, state=State.PUBLISHING, counts=Counts(read=60, rejected=10), read_bytes=500)
    assert wording.expected_rows(half) == 100
    assert wording.expected_rows(replace(half, state=State.FAILED)) == 100
    assert wording.expected_rows(replace(half, read_bytes=1000)) == 50
    assert wording.expected_rows(RUN) == 0


def test_what_is_left_is_told_once_there_is_a_pace() -> None:
    going = replace(
        RUN,
        state=State.PUBLISHING,
        counts=Counts(read=100, published=60, confirmed=50),
        read_bytes=1000,
        seconds=Seconds(publishing=5.0),
    )
    assert wording.seconds_left(going) == pytest.approx(5.0)
    assert wording.seconds_left(replace(going, seconds=Seconds(publishing=0.5))) is None
    rest = replace(
        going,
        state=State.DRAINING,
        counts=Counts(100, 0, 100, 100),
        session=SessionView("s", received=50),
        seconds=Seconds(publishing=5.0, draining=5.0),
    )
    assert wording.seconds_left(rest) == pytest.approx(10 + 5)  # the timeout
    assert wording.seconds_left(KEPT) is None


def test_the_settings_are_all_that_is_not_the_default() -> None:
    assert [one[:2] for one in wording.settings(Parameters())] == [("mode", "live"), ("timeout", "5")]
    for one in RUN_PARAMETERS:
        value = one.parse(one.name, OTHERS.get(one.name, "true"))
        told = {
            name: (shown, help) for name, shown, help in wording.settings(replace(Parameters(), **{one.name: value}))
        }
        assert told[one.name] == (one.format(value), one.help.replace("`", ""))


@pytest.mark.parametrize(("read_bytes", "says"), [(500, "4 of about 16 rows"), (1000, "4 of 8 rows")])
def test_an_estimate_is_called_one(read_bytes: int, says: str) -> None:
    run = replace(RUN, state=State.CANCELLED, counts=Counts(8, 0, 5, 4), read_bytes=read_bytes)
    assert says in wording.sentence(run)
    assert wording.about(run) == ("about " if read_bytes < 1000 else "")
