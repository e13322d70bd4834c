"""Errors of usage."""

from __future__ import annotations

from promise_pub.errors import PromisePubError, RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class BokehMissing(RequestError):
    """Bokeh is not installed on this server."""

    code = "bokeh_missing"


class UsageZoneChanged(PromisePubError):
    """Days were condensed in another time zone than that of the configuration."""

    code = "usage_zone_changed"


ENTRIES: dict[Kind, Entry] = {
    BokehMissing: Entry(404, "Install promise-pub[bokeh] on the server, or ask for svg or json."),
}
