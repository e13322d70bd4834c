"""Errors of the journal."""

from __future__ import annotations

from promise_pub.errors import RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class EventNotFound(RequestError):
    """There is no such event."""

    code = "event_not_found"


ENTRIES: dict[Kind, Entry] = {
    EventNotFound: Entry(404, "Find it in the journal. It may be older than the journal keeps."),
}
