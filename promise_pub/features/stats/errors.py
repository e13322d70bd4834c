"""Errors of statistics."""

from __future__ import annotations

from promise_pub.errors import RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class StatisticNotFound(RequestError):
    """No statistic has this name, or this version."""

    code = "statistic_not_found"


ENTRIES: dict[Kind, Entry] = {
    StatisticNotFound: Entry(404, "Find it in the list of statistics."),
}
