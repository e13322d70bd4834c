"""What visits come to, as it is told: sessions, and transitions with their figures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from uuid import UUID

import pytest

from promise_pub.features.visits.chains import EXIT
from promise_pub.features.visits.report import (
    SESSION_COLUMNS,
    TRANSITION_COLUMNS,
    PageFigures,
    SessionSummary,
    Transitions,
)
from tests.visits.walks import ALL, ONE, walked

SESSION = UUID(int=1)
SINCE = datetime(2026, 7, 1, 12, 30, 59, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("session", "since", "title"),
    [
        (None, None, ALL),
        (SESSION, None, ONE),
        (None, SINCE, "Transitions for all sessions since 2026-07-01 12:30 UTC:"),
        (SESSION, SINCE, f"{ONE.removesuffix(':')} since 2026-07-01 12:30 UTC:"),
    ],
)
def test_a_title_says_whose_and_since_when(session: UUID | None, since: datetime | None, title: str) -> None:
    assert Transitions(walked(), session, since).title == title


TOLD = Transitions(walked("/ /runs / exit", "/ exit", "/ /runs", "/docs exit"), SESSION, SINCE)


def test_pages_come_by_their_hits_with_their_figures() -> None:
    assert TOLD.pages() == [
        PageFigures("/", 4, 3, 4 / 7, pytest.approx(3.0)),
        PageFigures("/runs", 2, 0, 2 / 7, pytest.approx(4.0)),
        PageFigures("/docs", 1, 1, 1 / 7, 1.0),
    ]


def test_rows_are_all_transitions_as_they_are_drawn() -> None:
    assert TOLD.rows() == [
        ("/", "/runs", 2, 0.5),
        ("/", EXIT, 2, 0.5),
        ("/runs", "/", 1, 1.0),
        ("/docs", EXIT, 1, 1.0),
    ]


def test_transitions_as_json_have_every_figure() -> None:
    told = TOLD.as_json()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "session_id": "00000000-0000-0000-0000-000000000001",
        "since": "2026-07-01T12:30:59.000005Z",
        "sessions": 4,
        "ended": 3,
        "hits": 7,
        "bounces": 2,
        "bounce_rate": 0.666667,
        "pages": [
            {
                "page": "/",
                "hits": 4,
                "entries": 3,
                "share": 0.571429,
                "pages_until_exit": 3.0,
            },
            {
                "page": "/runs",
                "hits": 2,
                "entries": 0,
                "share": 0.285714,
                "pages_until_exit": 4.0,
            },
            {
                "page": "/docs",
                "hits": 1,
                "entries": 1,
                "share": 0.142857,
                "pages_until_exit": 1.0,
            },
        ],
        "transitions": [
            {"from": "/", "to": "/runs", "count": 2, "probability": 0.5},
            {"from": "/", "to": "exit", "count": 2, "probability": 0.5},
            {"from": "/runs", "to": "/", "count": 1, "probability": 1.0},
            {"from": "/docs", "to": "exit", "count": 1, "probability": 1.0},
        ],
    }


def test_without_hits_there_is_nothing_to_tell_but_noughts() -> None:
    told = Transitions(walked())
    assert (told.pages(), told.rows()) == ([], [])
    assert told.as_json() == {
        "session_id": None,
        "since": None,
        "sessions": 0,
        "ended": 0,
        "hits": 0,
        "bounces": 0,
        "bounce_rate": None,
        "pages": [],
        "transitions": [],
    }


def test_where_nobody_left_there_is_no_saying_how_long_it_takes() -> None:
    told = Transitions(walked("/ /runs"))
    assert [page.until_exit for page in told.pages()] == [None, None]
    assert [page["pages_until_exit"] for page in told.as_json()["pages"]] == [None, None]
    assert told.as_json()["bounce_rate"] is None


def test_probabilities_are_told_to_the_sixth_digit() -> None:
    assert Transitions(walked("/ / / exit")).rows() == [
        ("/", "/", 2, 0.666667),
        ("/", EXIT, 1, 0.333333),
    ]


def test_a_session_is_told_by_its_columns() -> None:
    summary = SessionSummary(
        session_id=SESSION,
        first=SINCE.astimezone(timezone(timedelta(hours=2))),
        last=SINCE + timedelta(seconds=1),
        hits=3,
        pages=2,
        ended=True,
        ip=ip_address("2001:db8::1"),
        user_agent="a browser",
    )
    assert summary.row() == [
        str(SESSION),
        "2026-07-01T12:30:59.000005Z",
        "2026-07-01T12:31:00.000005Z",
        3,
        2,
        True,
        "2001:db8::1",
        "a browser",
    ]
    assert summary.as_json() == dict(zip(SESSION_COLUMNS, summary.row(), strict=True))
    unknown = SessionSummary(
        session_id=SESSION,
        first=SINCE,
        last=SINCE,
        hits=1,
        pages=1,
        ended=False,
        ip=None,
        user_agent=None,
    )
    assert unknown.row()[5:] == [False, None, None]


def test_columns_of_transitions_are_named() -> None:
    assert TRANSITION_COLUMNS == ("from", "to", "count", "probability")
    assert all(len(row) == len(TRANSITION_COLUMNS) for row in TOLD.rows())
