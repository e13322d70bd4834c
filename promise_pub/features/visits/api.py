"""What can be asked about visits, and what the answers hold."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.features.visits.errors import SessionNotFound
from promise_pub.http.negotiation import CSV, HTML, JSON
from promise_pub.http.openapi.answers import DATABASE, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, PAGE_HEADERS, format_parameter, page_parameters, query
from promise_pub.http.openapi.schema import (
    AMOUNT,
    COUNT,
    FLAG,
    MOMENT,
    TEXT,
    UUID,
    Schema,
    described,
    nullable,
    object_of,
    ref,
)

# A description of what is taken that can be checked by itself: not of every way ISO 8601 has, nor of every month's days.
_DAY = "20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?"
SINCE = f"^([0-9]{{1,5}}(min|m|h|d|w)|{_DAY}(T{_TIME})?)?$"

_SESSION_ID: Schema = {
    "name": "session_id",
    "in": "path",
    "required": True,
    "description": "The session's id.",
    "schema": UUID,
}


def _sessions() -> Operation:
    words = "A span such as `24h`, or a time: before it is as if it had not been."
    since = query("since", {"type": "string", "pattern": SINCE}, words, example="7d")
    return {
        "operationId": "listVisits",
        "tags": ["visits"],
        "summary": "The sessions of visitors, and how they went from page to page",
        "description": "Sessions come with the newest page first; CSV has them alone. For operators, where users log in.",
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
        "summary": "One session's way through the pages",
        "description": "CSV has its hits, as `promise-pub visits import` takes them. For operators, where users log in.",
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
            "session_id": described(nullable(UUID), "null: of all sessions."),
            "since": described(nullable(MOMENT), "Before it is as if it had not been."),
            "sessions": COUNT,
            "ended": described(COUNT, "Sessions that had no page for a while."),
            "hits": described(COUNT, "Pages shown."),
            "bounces": described(COUNT, "Ended sessions of one page."),
            "bounce_rate": described(nullable(share), "Their share; null while none has ended."),
            "pages": {
                "type": "array",
                "items": object_of(
                    {
                        "page": TEXT,
                        "hits": COUNT,
                        "entries": described(COUNT, "Sessions that began there."),
                        "share": described(share, "Of the time that a random visitor spends."),
                        "pages_until_exit": described(
                            nullable(AMOUNT),
                            "Expected, this one included; null: it was never seen to be left.",
                        ),
                    }
                ),
            },
            "transitions": {
                "type": "array",
                "items": object_of({"from": TEXT, "to": TEXT, "count": COUNT, "probability": share}),
            },
        },
        description="How people went from page to page; `exit` is the end of a session.",
    )


def _visitor() -> Schema:
    return object_of(
        {
            "session_id": UUID,
            "first": MOMENT,
            "last": MOMENT,
            "hits": described(COUNT, "Pages shown."),
            "pages": described(COUNT, "Different ones."),
            "ended": FLAG,
            "ip": nullable(TEXT),
            "user_agent": nullable(TEXT),
        },
        description="A session; the client as it was at the last page.",
    )


def _hit() -> Schema:
    return object_of(
        {
            "at": MOMENT,
            "session_id": UUID,
            "page": described(TEXT, "Its route's template."),
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
                "description": "Names and values, without cookies and whatever lets somebody in.",
            },
            "took_ms": nullable(AMOUNT),
            "id": UUID,
        },
        description="A page that was shown.",
    )


def schemas() -> dict[str, Schema]:
    """What the answers hold, by the names that they are referred to by."""
    names = ("noted", "written", "lost", "waiting")
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
                    "What this server noted since its start; null: it notes nothing.",
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
