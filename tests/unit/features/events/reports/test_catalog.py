from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from promise_pub.features.events.reports.catalog import MAX_MINUTES, REPORTS, Options, find_report, make_report
from promise_pub.features.events.reports.records import DatedEvent
from promise_pub.features.events.reports.text import csv_rows, json_value

ZURICH = ZoneInfo("Europe/Zurich")
FRIDAY = datetime(2026, 11, 20, tzinfo=UTC)


def event(minutes: int, url: str | None = None, user: str | None = None) -> DatedEvent:
    return DatedEvent(at=FRIDAY + timedelta(minutes=minutes), type="log.shell", label="x", text="t", url=url, user=user)


def rows(name: str, *events: DatedEvent, options: Options | None = None) -> list[list[object]]:
    return [[*row.values()] for row in json_value(make_report(name, events, options or Options()))["rows"]]


def test_every_report_has_its_name_and_a_sentence() -> None:
    assert [*REPORTS] == [
        "gaps",
        "hours",
        "events",
        "domains",
        "projects",
        "wikipedia",
        "questions",
        "histogram",
        "counts",
    ]
    assert all(kind.sentence[0].isupper() and kind.sentence.endswith(".") for kind in REPORTS.values())


@pytest.mark.parametrize(
    ("by", "name"), [(None, "2026-11-20"), ("day", "2026-11-20"), ("week", "2026-W47"), ("month", "2026-11")]
)
def test_hours_are_told_by_day_week_or_month_of_the_zone(by: str | None, name: str) -> None:
    events = [event(60), event(70), event(240)]

    assert rows("hours", *events, options=Options(by=by, zone=ZURICH, lead=2)) == [
        [name, "2026-11-20T01:58:00+01:00", "2026-11-20T05:00:00+01:00", 2, 840, 0.23]
    ]
    assert [*csv_rows(make_report("hours", events, Options(by=by)))][0][0] == (by or "day")


def test_the_week_of_a_new_year_is_named_after_the_year_of_its_thursday() -> None:
    new_year = DatedEvent(at=datetime(2027, 1, 1, 9, tzinfo=UTC), type="find", label="x", text="")

    assert rows("hours", new_year, options=Options(by="week"))[0][0] == "2026-W53"


def test_urls_are_grouped_by_what_they_are_about() -> None:
    events = [
        event(1, "https://github.com/ann/tool"),
        event(2, "https://github.com/ann/tool/issues"),
        event(3, "https://github.com/ann/tool"),
        event(4, "https://en.m.wikipedia.org/wiki/A_b"),
        event(5, "https://stackoverflow.com/questions/1/x"),
        event(6),
    ]

    assert rows("domains", *events) == [
        ["github.com", 2, 3],
        ["en.m.wikipedia.org", 1, 1],
        ["stackoverflow.com", 1, 1],
    ]
    assert rows("projects", *events) == [
        ["github.com/ann/tool", 2, 3, ["https://github.com/ann/tool", "https://github.com/ann/tool/issues"]]
    ]
    assert rows("wikipedia", *events) == [["en.wikipedia.org/A b", 1, 1, ["https://en.m.wikipedia.org/wiki/A_b"]]]
    assert rows("questions", *events) == [
        ["stackoverflow.com/questions/1", 1, 1, ["https://stackoverflow.com/questions/1/x"]]
    ]


def test_a_histogram_has_the_bins_that_are_asked_for_or_chosen() -> None:
    events = [event(0), event(1), event(150)]

    assert [row[2] for row in rows("histogram", *events, options=Options(by="hour"))] == [2, 0, 1]
    assert len(rows("histogram", *events)) == len(rows("histogram", *events, options=Options(by="auto"))) == 151
    assert rows("histogram", *events, options=Options(by="day", zone=ZURICH)) == [
        ["2026-11-20T00:00:00+01:00", "2026-11-21T00:00:00+01:00", 3]
    ]


def test_counts_are_by_type_if_not_said_otherwise() -> None:
    events = [event(0, user="ann"), event(1)]

    assert rows("counts", *events) == [["log.shell", 2]]
    assert rows("counts", *events, options=Options(by="user")) == [[None, 1], ["ann", 1]]


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("hour", Options(), "There is no report 'hour'. Did you mean hours?"),
        ("Domains", Options(), "There is no report 'Domains'. Did you mean domains?"),
        ("\x1b" * 90, Options(), "There is no report '" + r"\x1b" * 40 + "'. There are gaps, hours, events, domains"),
        ("hours", Options(by="year"), "The report hours is told by day or week or month, not by 'year'."),
        ("gaps", Options(by="day"), "The report gaps is told as it is, and not by 'day'."),
        ("counts", Options(by="text"), "The report counts is told by type or label"),
        ("histogram", Options(by="second"), "The report histogram is told by auto or year"),
        ("gaps", Options(gap=-1), "A gap has 0 to 527,040 minutes."),
        ("gaps", Options(gap=float("nan")), "A gap has 0 to 527,040 minutes."),
        ("domains", Options(lead=float("inf")), "A lead has 0 to 527,040 minutes."),
        ("hours", Options(lead=MAX_MINUTES + 1), "A lead has 0 to 527,040 minutes."),
    ],
)
def test_reports_and_options_that_there_are_not_are_refused(name: str, options: Options, complaint: str) -> None:
    with pytest.raises(ValueError) as refused:
        make_report(name, [], options)
    assert str(refused.value).startswith(complaint)


def test_a_histogram_of_too_many_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose wider bins"):
        make_report("histogram", [event(0), event(2_000)], Options(by="minute"))


@pytest.mark.parametrize("name", ["gaps", "hours"])
def test_events_out_of_order_are_refused_while_they_are_shown(name: str) -> None:
    report = make_report(name, [event(2), event(1)], Options())

    with pytest.raises(ValueError, match="order"):
        json_value(report)


@pytest.mark.parametrize("name", ["gaps", "events"])
def test_long_reports_are_shown_while_they_are_read(name: str) -> None:
    def endless() -> Iterator[DatedEvent]:
        for minutes in range(10**9):
            yield event(minutes)

    shown = csv_rows(make_report(name, endless(), Options()))

    assert [next(shown)[0], next(shown)[0]] == ["date", "2026-11-20T00:00:00+00:00"]


def test_a_report_is_found_by_its_name() -> None:
    assert find_report("gaps") is REPORTS["gaps"]
