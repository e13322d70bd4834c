"""Errors of the record of visits."""

from __future__ import annotations

from promise_pub.errors import DatabaseError, PromisePubError, RequestError
from promise_pub.http.problem_catalog import Entry, Kind


class SessionNotFound(RequestError):
    """There is no such session of a visitor."""

    code = "session_not_found"


class HitRefused(DatabaseError):
    """The database cannot store a page hit."""

    code = "hit_refused"


class ImportRefused(PromisePubError):
    """The file contains something that is no page hit. Nothing of it was imported."""

    code = "import_refused"


ENTRIES: dict[Kind, Entry] = {
    SessionNotFound: Entry(
        404, "Find it in the list of visits. It may be older than the server keeps, or was deleted."
    ),
    HitRefused: Entry(503),
    ImportRefused: Entry(500, public=False),
}
