from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.reports.catalog import REPORTS, Options, make_report
from promise_pub.features.events.reports.records import DatedEvent
from promise_pub.features.events.reports.text import (
    BREAK,
    MAX_WIDTH,
    Report,
    Table,
    csv_rows,
    json_value,
    seconds_of,
    text_lines,
)
from promise_pub.text import printable

UTC_ZONE, ZURICH = ZoneInfo("UTC"), ZoneInfo("Europe/Zurich")
NAMES = [*REPORTS]


def event(hour: int, minute: int = 0, text: str = "make", **more: str | datetime) -> DatedEvent:
    at = datetime(2026, 11, 20, hour, minute, tzinfo=UTC)
    return DatedEvent(**{"at": at, "type": "log.shell", "label": "laptop", "text": text, **more})  # type: ignore[arg-type]


def table(*rows: Sequence[object], long: bool = False) -> Table:
    return Table(name="events", columns=("what", "events"), rows=rows, zone=UTC_ZONE, long=long)  # type: ignore[arg-type]


EVENTS = [
    event(8, 55, "vim", until=datetime(2026, 11, 20, 9, 5, tzinfo=UTC)),
    event(9, 20, "make"),
    event(9, 36, "Queue", url="https://en.wikipedia.org/wiki/Queue"),
    event(12, 0, "tool", url="https://github.com/ann/tool"),
]


def test_gaps_as_csv_are_all_events_with_a_row_of_dashes_between_sessions() -> None:
    assert [[*row] for row in csv_rows(make_report("gaps", EVENTS, Options()))] == [
        ["date", "source", "url", "title"],
        ["2026-11-20T08:55:00+00:00", "log.shell", "", "vim"],
        ["2026-11-20T09:20:00+00:00", "log.shell", "", "make"],
        ["--------", "--------", "--------", "--------"],
        ["2026-11-20T09:36:00+00:00", "log.shell", "https://en.wikipedia.org/wiki/Queue", "Queue"],
        ["--------", "--------", "--------", "--------"],
        ["2026-11-20T12:00:00+00:00", "log.shell", "https://github.com/ann/tool", "tool"],
    ]


def test_gaps_as_json_are_sessions_and_the_gaps_between_them() -> None:
    assert json_value(make_report("gaps", EVENTS, Options(lead=5, zone=ZURICH))) == {
        "report": "gaps",
        "sessions": [
            {"from": "2026-11-20T09:50:00+01:00", "to": "2026-11-20T10:20:00+01:00", "seconds": 1_800},
            {"from": "2026-11-20T10:31:00+01:00", "to": "2026-11-20T10:36:00+01:00", "seconds": 300},
            {"from": "2026-11-20T12:55:00+01:00", "to": "2026-11-20T13:00:00+01:00", "seconds": 300},
        ],
        "gaps": [
            {"from": "2026-11-20T10:20:00+01:00", "to": "2026-11-20T10:36:00+01:00", "seconds": 960},
            {"from": "2026-11-20T10:36:00+01:00", "to": "2026-11-20T13:00:00+01:00", "seconds": 8_640},
        ],
    }


def test_text_of_a_long_report_has_tabs_between_columns() -> None:
    assert [*text_lines(make_report("events", EVENTS[2:3], Options()))] == [
        "date\tsource\turl\ttitle",
        "2026-11-20T09:36:00+00:00\tlog.shell\thttps://en.wikipedia.org/wiki/Queue\tQueue",
    ]


def test_text_of_other_reports_is_aligned_with_numbers_on_their_right() -> None:
    assert [*text_lines(table(("a", 1_000), ("long", 7)))] == [
        "what  events",
        "a      1,000",
        "long       7",
    ]
    assert [*text_lines(table())] == ["what  events"]


def test_one_long_word_does_not_make_all_lines_long() -> None:
    lines = [*text_lines(table(("x" * 10_000, 1), ("a", 2)))]

    assert [len(line) for line in lines] == [MAX_WIDTH + 8, 10_000 + 8, MAX_WIDTH + 8]


@pytest.mark.parametrize("long", [False, True])
def test_words_of_strangers_drive_no_terminal(long: bool) -> None:
    hostile = "\x1b[2J\t\n\u202e"
    lines = [*text_lines(table((hostile, 1), ([hostile], 2), long=long))]

    assert len(lines) == 3
    assert all(line.replace("\t", "").isprintable() for line in lines)
    assert all(r"\x1b[2J\t\n\u202e" in line for line in lines[1:])
    assert [*csv_rows(table((hostile, 1)))][1] == [hostile, 1]


def test_a_time_at_the_end_of_the_calendar_is_shown_in_utc() -> None:
    last = DatedEvent(at=datetime(9999, 12, 31, 23, 30, tzinfo=UTC), type="find", label="x", text="")

    rows = [*csv_rows(make_report("events", [last], Options(zone=ZURICH)))]
    assert rows[1][0] == "9999-12-31T23:30:00+00:00"


def test_seconds_have_a_fraction_where_there_is_one() -> None:
    assert [repr(seconds_of(timedelta(seconds=n))) for n in (90, 0.5)] == ["90", "0.5"]


def test_no_events_are_a_head_and_nothing_else() -> None:
    for name in NAMES:
        assert len([*csv_rows(make_report(name, [], Options()))]) == 1
        assert len([*text_lines(make_report(name, [], Options()))]) == 1
    assert json_value(make_report("gaps", [], Options())) == {"report": "gaps", "sessions": [], "gaps": []}
    assert json_value(make_report("hours", [], Options())) == {"report": "hours", "rows": []}


WORDS = st.sampled_from(["", "a", "b c", "tab\there", "line\nend", "\x1b[0m", "é"])
URLS = st.none() | st.sampled_from(
    [
        "https://github.com/ann/tool",
        "https://github.com/ann/tool/x",
        "https://de.wikipedia.org/wiki/A",
        "http://[::1",
        "x",
    ]
    + ["https://stackoverflow.com/questions/1/a", "https://www.quora.com/Why"]
)


@st.composite
def streams(draw: st.DrawFn) -> Sequence[DatedEvent]:
    """Events of some hours, in their order."""
    at = datetime(2026, 10, 24, 20, tzinfo=UTC)
    events = []
    for minutes in draw(st.lists(st.integers(0, 90), max_size=12)):
        at += timedelta(minutes=minutes)
        until = draw(st.none() | st.just(at + timedelta(minutes=20)))
        events.append(
            DatedEvent(
                at=at, until=until, type=draw(WORDS), label="x", text=draw(WORDS), url=draw(URLS), user=draw(WORDS)
            )
        )
    return events


def cells_of_text(report: Report, heads: Sequence[str]) -> list[list[str]]:
    """Returns the cells of a report's text: its long ones have tabs, the others columns below their heads."""
    head, *lines = text_lines(report)
    assert head.split() == [*heads]
    return [line.split("\t") if "\t" in head else line.split() for line in lines]


def as_text(cell: object) -> str:
    if isinstance(cell, list):
        return " ".join(map(printable, cell))
    return "" if cell is None else printable(cell) if isinstance(cell, str) else f"{cell:,}"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gaps"])
@given(events=streams(), zone=st.sampled_from([UTC_ZONE, ZURICH]))
def test_text_csv_and_json_tell_the_same(name: str, events: Sequence[DatedEvent], zone: ZoneInfo) -> None:
    def make() -> Report:
        return make_report(name, events, Options(zone=zone))

    told = json_value(make())["rows"]
    heads, *rows = csv_rows(make())

    assert [dict(zip(heads, row, strict=True)) for row in rows] == [
        {key: "\n".join(cell) if isinstance(cell, list) else "" if cell is None else cell for key, cell in row.items()}
        for row in told
    ]
    texts = [[as_text(cell) for cell in row.values()] for row in told]
    is_long = name == "events"
    expected = texts if is_long else [" ".join(row).split() for row in texts]
    assert cells_of_text(make(), [str(head) for head in heads]) == expected


@given(events=streams(), gap=st.sampled_from([0, 15, 60]))
def test_text_csv_and_json_tell_of_the_same_gaps(events: Sequence[DatedEvent], gap: int) -> None:
    def make() -> Report:
        return make_report("gaps", events, Options(gap=gap))

    _, *rows = csv_rows(make())
    told = json_value(make())
    sessions = [[*of] for is_break, of in groupby(rows, lambda row: tuple(row) == BREAK) if not is_break]

    assert [of[0][0] for of in sessions] == [one["from"] for one in told["sessions"]]
    assert [of[0][0] for of in sessions[1:]] == [one["to"] for one in told["gaps"]]
    assert [one["to"] for one in told["sessions"]][:-1] == [one["from"] for one in told["gaps"]]
    assert sum(map(len, sessions)) == len(events)
    assert cells_of_text(make(), ("date", "source", "url", "title")) == [
        [as_text(cell) for cell in row] for row in rows
    ]
    assert all(before["to"] < after["from"] for before, after in pairwise(told["sessions"]))
