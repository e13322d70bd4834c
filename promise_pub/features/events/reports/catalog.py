"""The reports by their names: a sentence about each, and how it is made of a stream of events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from typing import NamedTuple
from zoneinfo import ZoneInfo

from promise_pub.features.events.reports.bins import Unit, bin_times
from promise_pub.features.events.reports.grouped import By, count_places, count_values
from promise_pub.features.events.reports.places import (
    Group,
    PlaceCount,
    count_domains,
    group_projects,
    group_questions,
    group_wikipedia,
)
from promise_pub.features.events.reports.records import DatedEvent
from promise_pub.features.events.reports.sessions import Hours, Width, count_hours, follow_sessions, join_sessions
from promise_pub.features.events.reports.text import (
    EVENT_COLUMNS,
    Cell,
    Report,
    Table,
    Timeline,
    event_cells,
    seconds_of,
)
from promise_pub.text import printable

MAX_MINUTES = 366 * 24 * 60
"""Minutes of a gap and of a lead: a year has sessions enough."""
AUTO = "auto"

Events = Iterable[DatedEvent]
Maker = Callable[[str, Events, "Options", str], "Report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices for a report: `gap` and `lead` in minutes, the zone that it is told in, and the field or the width it goes
    `by`, None for the report's own."""

    gap: float = 15
    lead: float = 0
    zone: ZoneInfo = ZoneInfo("UTC")
    by: str | None = None


class ReportKind(NamedTuple):
    """A report: a sentence about it, what it may go `by`, its own first, and its maker. The maker is given the name, the
    events, options that are checked, and what to go by."""

    sentence: str
    by: Sequence[str]
    make: Maker


def make_report(name: str, events: Events, options: Options) -> Report:
    """Makes a report of events in the order of `at`.

    Raises ValueError, with a complaint for people, for a name and options that it does not know, and for a histogram of too
    many bins. Gaps, hours and events are read while they are shown: gaps and hours raise ValueError then for events in no
    order. All others are read here.
    """
    kind = find_report(name)
    for what, minutes in (("gap", options.gap), ("lead", options.lead)):
        if not 0 <= minutes <= MAX_MINUTES:
            raise ValueError(f"A {what} has 0 to {MAX_MINUTES:,} minutes.")
    by = options.by or next(iter(kind.by), "")
    if by and by not in kind.by:
        known = f"by {' or '.join(kind.by)}, not" if kind.by else "as it is, and not"
        raise ValueError(f"The report {name} is told {known} by {_quoted(by)}.")
    return kind.make(name, events, options, by)


def find_report(name: str) -> ReportKind:
    """Returns the report of a name. Raises ValueError, with a complaint for people that has the nearest one."""
    if kind := REPORTS.get(name):
        return kind
    near = get_close_matches(name[:40].lower(), REPORTS, 1)
    advice = f"Did you mean {near[0]}?" if near else f"There are {', '.join(REPORTS)}."
    raise ValueError(f"There is no report {_quoted(name)}. {advice}")


def _gaps(name: str, events: Events, options: Options, by: str) -> Report:
    return Timeline(name=name, followed=follow_sessions(events, *_pauses(options)), zone=options.zone)


def _hours(name: str, events: Events, options: Options, by: str) -> Report:
    width = Width(by)
    periods = count_hours(join_sessions(events, *_pauses(options)), options.zone, width)
    columns = (by, "first", "last", "sessions", "seconds", "hours")
    return Table(name=name, columns=columns, rows=(_hours_cells(one, width) for one in periods), zone=options.zone)


def _hours_cells(hours: Hours, width: Width) -> Sequence[Cell]:
    seconds = seconds_of(hours.length)
    return (
        _period_name(hours.start, width),
        hours.first,
        hours.last,
        hours.sessions,
        seconds,
        round(seconds / 3600, 2),
    )


def _period_name(start: date, width: Width) -> str:
    if width is Width.WEEK:
        year, week, _ = start.isocalendar()
        return f"{year:04}-W{week:02}"
    return start.isoformat()[: 7 if width is Width.MONTH else 10]


def _events(name: str, events: Events, options: Options, by: str) -> Report:
    return Table(name=name, columns=EVENT_COLUMNS, rows=map(event_cells, events), zone=options.zone, long=True)


def _domains(name: str, events: Events, options: Options, by: str) -> Report:
    rows = count_domains(count_places(events))
    return Table(name=name, columns=("domain", "places", "events"), rows=rows, zone=options.zone)


def _histogram(name: str, events: Events, options: Options, by: str) -> Report:
    bins = bin_times((event.at for event in events), options.zone, None if by == AUTO else Unit(by))
    return Table(name=name, columns=("from", "to", "events"), rows=bins, zone=options.zone)


def _counts(name: str, events: Events, options: Options, by: str) -> Report:
    return Table(name=name, columns=(by, "events"), rows=count_values(events, By(by)), zone=options.zone)


def _groups(column: str, group: Callable[[Iterable[PlaceCount]], Sequence[Group]]) -> Maker:
    """Returns the maker of a report of URLs in groups."""

    def make(name: str, events: Events, options: Options, by: str) -> Report:
        groups = group(count_places(events))
        rows = [(one.key, len(one.urls), one.events, one.urls) for one in groups]
        return Table(name=name, columns=(column, "places", "events", "urls"), rows=rows, zone=options.zone)

    return make


def _pauses(options: Options) -> tuple[timedelta, timedelta]:
    return timedelta(minutes=options.gap), timedelta(minutes=options.lead)


def _quoted(word: str) -> str:
    return f"'{printable(word[:40])}'"


REPORTS: Mapping[str, ReportKind] = {
    "gaps": ReportKind("All events, with the gaps between their sessions.", (), _gaps),
    "hours": ReportKind("First, last, sessions and hours of each day, week or month.", [*Width], _hours),
    "events": ReportKind("All events, in the order of their times.", (), _events),
    "domains": ReportKind("Hosts, with their different places and their events.", (), _domains),
    "projects": ReportKind(
        "Projects on forges, by host, owner and repository.", (), _groups("project", group_projects)
    ),
    "wikipedia": ReportKind("Pages of Wikipedia, by host and title.", (), _groups("page", group_wikipedia)),
    "questions": ReportKind("Questions on sites that answer them.", (), _groups("question", group_questions)),
    "histogram": ReportKind("Events by time, in bins of one width.", [AUTO, *Unit], _histogram),
    "counts": ReportKind("Events by type, label, kind, host or user.", [*By], _counts),
}
