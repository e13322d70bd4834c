"""What can be asked about visits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from promise_pub import errors
from promise_pub.web.negotiate import CSV, HTML, JSON
from promise_pub.web.openapi.answers import (
    DATABASE,
    Operation,
    answer,
    faces,
    not_modified,
    problems,
)
from promise_pub.web.openapi.asked import KNOWN, PAGED, face, paged, query
from promise_pub.web.openapi.schemas import UUID, Schema, ref

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
            *paged("Sessions"),
            face(HTML, JSON, CSV),
            KNOWN,
        ],
        "responses": {
            "200": answer(
                "A page of sessions.", faces(ref("Visits"), csv=True), "ETag", "Vary", *PAGED
            ),
            "304": not_modified("ETag", "Vary", *PAGED),
            **problems((errors.BadParameter, errors.NotAllowed, *DATABASE)),
        },
    }


def _session() -> Operation:
    told = faces(ref("Visit"), csv=True)
    return {
        "operationId": "showVisit",
        "tags": ["visits"],
        "summary": "One session's way through the pages",
        "description": "CSV has its hits, as `promise-pub visits import` takes them. For operators, where users log in.",
        "parameters": [_SESSION_ID, face(HTML, JSON, CSV), KNOWN],
        "responses": {
            "200": answer("The session.", told, "ETag", "Vary", "X-Total-Count"),
            "304": not_modified("ETag", "Vary", "X-Total-Count"),
            **problems((errors.BadParameter, errors.NotAllowed, errors.SessionNotFound, *DATABASE)),
        },
    }


OPERATIONS: Mapping[tuple[str, str], Callable[[], Operation]] = {
    ("GET", "/visits"): _sessions,
    ("GET", "/visits/{session_id}"): _session,
}
