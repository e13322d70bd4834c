"""Errors of statistics."""

from __future__ import annotations

from promise_pub.errors import RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class StatisticNotFound(RequestError):
    """There is no such statistic, or no such version of it."""

    code = "statistic_not_found"


ENTRIES: dict[Kind, Entry] = {
    StatisticNotFound: Entry(404, "Find it in the list of statistics."),
}
