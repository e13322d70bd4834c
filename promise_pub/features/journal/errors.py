"""Errors of the journal."""

from __future__ import annotations

from promise_pub.errors import PromisePubError, RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class EventNotFound(RequestError):
    """The journal has no such event."""

    code = "event_not_found"


class EventsTooLarge(RequestError):
    """The events are larger than the server takes at once."""

    code = "events_too_large"


class EventsRefused(PromisePubError):
    """The file contains something that is no event. What stands before it was imported."""

    code = "events_refused"


ENTRIES: dict[Kind, Entry] = {
    EventNotFound: Entry(404, "Find it in the journal. It may be older than the journal keeps."),
    EventsTooLarge: Entry(413, "Send fewer events at once."),
    EventsRefused: Entry(500, public=False),
}
