"""The operations of visits in the API's description, and the schemas of their responses."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.features.visits.errors import SessionNotFound
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, PAGE_HEADERS, format_parameter, page_parameters, query
from promise_pub.json_schema import AMOUNT, COUNT, FLAG, MOMENT, TEXT, UUID, Schema, described, nullable, object_of, ref
from promise_pub.spans import SINCE_PATTERN

_SESSION_ID: Schema = {
    "name": "session_id",
    "in": "path",
    "required": True,
    "description": "The session's id.",
    "schema": UUID,
}


def _sessions() -> Operation:
    words = "A span such as `24h`, or a time; earlier visits do not count."
    since = query("since", {"type": "string", "pattern": SINCE_PATTERN}, words, example="7d")
    return {
        "operationId": "listVisits",
        "tags": ["visits"],
        "summary": "List the sessions of visitors, and the transitions between pages",
        "description": "Sessions are sorted by their latest page, newest first; CSV has only the sessions. For operators, if users log in.",
        "parameters": [
            since,
            *page_parameters("Sessions"),
            format_parameter(HTML, JSON, CSV),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer("A page of sessions.", formats(ref("Visits"), csv=True), "ETag", "Vary", *PAGE_HEADERS),
            "304": not_modified("ETag", "Vary", *PAGE_HEADERS),
            **problems((errors.BadParameter, errors.NotAllowed, *DATABASE)),
        },
    }


def _session() -> Operation:
    told = formats(ref("Visit"), csv=True)
    return {
        "operationId": "showVisit",
        "tags": ["visits"],
        "summary": "Show one session and its pages",
        "description": "CSV has its hits, as `promise-pub visits import` reads them. For operators, if users log in.",
        "parameters": [_SESSION_ID, format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": answer("The session.", told, "ETag", "Vary", "X-Total-Count"),
            "304": not_modified("ETag", "Vary", "X-Total-Count"),
            **problems((errors.BadParameter, errors.NotAllowed, SessionNotFound, *DATABASE)),
        },
    }


def _transitions() -> Schema:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return object_of(
        {
            "session_id": described(nullable(UUID), "null for all sessions."),
            "since": described(nullable(MOMENT), "Earlier visits do not count."),
            "sessions": COUNT,
            "ended": described(COUNT, "Sessions that have ended, after a while without a page."),
            "hits": described(COUNT, "Pages shown."),
            "bounces": described(COUNT, "Ended sessions of one page."),
            "bounce_rate": described(
                nullable(share), "Share of bounces among ended sessions; null while none has ended."
            ),
            "pages": {
                "type": "array",
                "items": object_of(
                    {
                        "page": TEXT,
                        "hits": COUNT,
                        "entries": described(COUNT, "Sessions that began there."),
                        "share": described(share, "Share of the time that a random visitor spends there."),
                        "pages_until_exit": described(
                            nullable(AMOUNT),
                            "Expected number, this page included; null if no session left from there.",
                        ),
                    }
                ),
            },
            "transitions": {
                "type": "array",
                "items": object_of({"from": TEXT, "to": TEXT, "count": COUNT, "probability": share}),
            },
        },
        description="Transitions from page to page; `exit` is the end of a session.",
    )


def _visitor() -> Schema:
    return object_of(
        {
            "session_id": UUID,
            "first": MOMENT,
            "last": MOMENT,
            "hits": described(COUNT, "Pages shown."),
            "pages": described(COUNT, "Different pages."),
            "ended": FLAG,
            "ip": nullable(TEXT),
            "user_agent": nullable(TEXT),
        },
        description="A session, with the address and browser of its last page.",
    )


def _hit() -> Schema:
    return object_of(
        {
            "at": MOMENT,
            "session_id": UUID,
            "page": described(TEXT, "The template of its route."),
            "path": nullable(TEXT),
            "method": nullable(TEXT),
            "status": nullable(COUNT),
            "ip": nullable(TEXT),
            "port": nullable(COUNT),
            "user_agent": nullable(TEXT),
            "referrer": nullable(TEXT),
            "headers": {
                "type": "array",
                "items": {"type": "array", "items": TEXT},
                "description": "Names and values of those that are kept; none of who has not logged in.",
            },
            "took_ms": nullable(AMOUNT),
            "known": described(FLAG, "Whether the visitor had logged in; true where nobody does."),
            "id": UUID,
        },
        description="A page that was shown.",
    )


def schemas() -> dict[str, Schema]:
    """Returns the schemas of responses by their names."""
    names = ("noted", "written", "lost", "waiting", "limited")
    return {
        "Transitions": _transitions(),
        "Visitor": _visitor(),
        "Hit": _hit(),
        "Visits": object_of(
            {
                "sessions": {"type": "array", "items": ref("Visitor")},
                "transitions": ref("Transitions"),
                "recording": described(
                    nullable(object_of({name: COUNT for name in names})),
                    "Hits that this server recorded since its start; null if it records none.",
                ),
            }
        ),
        "Visit": object_of(
            {
                "session": ref("Visitor"),
                "hits": {"type": "array", "items": ref("Hit")},
                "transitions": ref("Transitions"),
            }
        ),
    }


OPERATIONS: Operations = {
    ("GET", "/visits"): _sessions,
    ("GET", "/visits/{session_id}"): _session,
}
