"""Five gauges: every row is in its place, lost ones where they were lost, and no bar is over its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.parameters import Parameters
from promise_pub.presentation.gauges import ASIDE, DONE, LOST, Gauge, gauges
from promise_pub.records import Counts, EarlierSession, RunReport, SessionView, State, StoredFile, Verdict

RUN = RunReport("id", Parameters(), StoredFile("a.csv", 1000, "h"), datetime.now(UTC))
ENDED = replace(
    RUN,
    state=State.COMPLETED,
    verdict=Verdict.KEPT,
    read_bytes=1000,
    counts=Counts(read=100, rejected=20, published=80, confirmed=80),
    session=SessionView("s", received=80, saved=60, duplicates=15, invalid=5),
)


def drawn(gauge: Gauge) -> dict[str, float]:
    return {part.kind: part.width for part in gauge.parts}


def test_a_kept_promise_fills_every_bar() -> None:
    shown = gauges(ENDED)
    assert [gauge.name for gauge in shown] == [
        "Read",
        "Published",
        "Confirmed",
        "Received",
        "Saved",
    ]
    assert [gauge.count for gauge in shown] == [100, 80, 80, 80, 60]
    assert all(sum(drawn(gauge).values()) == 100 for gauge in shown)
    assert drawn(shown[0]) == {DONE: 80, ASIDE: 20} and shown[0].note == "20 rejected"
    assert drawn(shown[4]) == {DONE: 75, ASIDE: 25}
    assert shown[4].note == "15 already there, 5 not usable"


def test_what_explains_unsaved_rows_may_not_be_the_consumers_word() -> None:
    kept = replace(ENDED, session=SessionView("s", received=80, saved=60))
    assert drawn(gauges(kept)[4]) == {DONE: 75, ASIDE: 25}
    assert gauges(kept)[4].note == "20 explained"


def test_lost_rows_are_shown_where_they_were_lost() -> None:
    counts = Counts(read=100, published=100, confirmed=90, returned=6, nacked=4)
    session = SessionView("s", received=80, saved=60, duplicates=5)
    broken = replace(ENDED, verdict=Verdict.BROKEN, counts=counts, session=session)
    _, published, confirmed, got, kept = gauges(broken)
    assert drawn(published) == {DONE: 100}
    assert drawn(confirmed) == {DONE: 90, LOST: 10} and confirmed.note == "6 returned, 4 refused"
    assert drawn(got) == {DONE: 80, LOST: 10} and got.note == "10 missing"
    assert drawn(kept) == {DONE: 60, ASIDE: 5, LOST: 15}
    assert kept.note == "15 unexplained"


def test_a_run_that_goes_shows_what_is_on_its_way_and_loses_nothing() -> None:
    going = replace(
        ENDED,
        state=State.PUBLISHING,
        verdict=None,
        read_bytes=500,
        counts=Counts(read=55, rejected=5, published=40, confirmed=30),
        session=SessionView("s", received=20, saved=10),
    )
    shown = gauges(going)
    assert [gauge.note for gauge in shown] == [
        "of about 105",
        "about 60 to go",
        "10 unconfirmed",
        "10 to come",
        "by the consumer",
    ]
    assert [drawn(gauge).get(DONE) for gauge in shown[1:]] == [40, 30, 20, 10]
    assert all(LOST not in drawn(gauge) for gauge in shown)


@pytest.mark.parametrize(
    ("state", "session", "says"),
    [
        (State.QUEUED, None, "no session yet"),
        (State.FAILED, None, "no session"),
        (State.DRAINING, SessionView("s"), "not reported"),
    ],
)
def test_what_nobody_told_is_no_number(state: State, session: SessionView | None, says: str) -> None:
    for gauge in gauges(replace(RUN, state=state, session=session))[3:]:
        assert (gauge.count, gauge.note, gauge.parts) == (None, says, ())


def test_rows_of_earlier_sessions_count() -> None:
    earlier = (
        EarlierSession(SessionView("a", received=50, saved=40, duplicates=10), 1, 50),
        EarlierSession(SessionView("b", received=9, saved=9), 51, 50),  # told of no row
    )
    resumed = replace(ENDED, earlier=earlier, session=SessionView("c", received=30, saved=30, duplicates=0))
    assert [gauge.count for gauge in gauges(resumed)[3:]] == [80, 70]
    assert gauges(resumed)[4].note == "10 already there"
    assert [gauge.count for gauge in gauges(replace(resumed, session=None))[3:]] == [50, 40]


def test_one_lost_row_among_a_million_is_seen() -> None:
    counts = Counts(read=1_000_001, rejected=1, published=10**6, confirmed=10**6)
    session = SessionView("s", received=10**6 - 1, saved=10**6 - 1)
    broken = replace(ENDED, verdict=Verdict.BROKEN, counts=counts, session=session)
    read, _, confirmed, got, _ = gauges(broken)
    assert drawn(got) == {DONE: 96, LOST: 4} and got.lost and not confirmed.lost
    assert drawn(read) == {DONE: 98.5, ASIDE: 1.5}


def test_a_run_that_failed_half_way_has_half_full_bars() -> None:
    failed = replace(ENDED, state=State.FAILED, verdict=None, read_bytes=500)
    read, published, *_ = gauges(failed)
    assert (read.note, published.note) == ("of about 180", "about 80 left out")
    assert drawn(published) == {DONE: 50}


def test_messages_that_came_twice_are_told_and_go_over_no_end() -> None:
    again = replace(ENDED, session=SessionView("s", received=90, saved=80, duplicates=10))
    assert gauges(again)[3].note == "10 more than once"
    assert drawn(gauges(again)[3]) == {DONE: 100} and drawn(gauges(again)[4]) == {DONE: 100}


NUMBERS = st.integers(0, 10**9)


@given(
    st.sampled_from(State),
    st.sampled_from([None, *Verdict]),
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.lists(st.none() | NUMBERS, min_size=4, max_size=4),
    st.integers(0, 1000),
)
def test_no_bar_goes_over_its_end_whatever_was_counted(
    state: State,
    verdict: Verdict | None,
    rows: list[int],
    told: list[int | None],
    read_bytes: int,
) -> None:
    run = replace(
        RUN,
        state=state,
        verdict=verdict,
        counts=Counts(*rows),
        session=SessionView("s", *told),
        read_bytes=read_bytes,
    )
    for gauge in gauges(run):
        assert gauge.note
        end = 0.0
        for part in gauge.parts:
            assert part.width >= 0 and part.start == pytest.approx(end, abs=0.02)
            end = part.start + part.width
        assert end <= 100.02
