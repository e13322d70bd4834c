"""The operations of the journal in the API's description, and the schemas of what they take and give."""

from __future__ import annotations

from promise_pub import errors
from promise_pub.features.journal.errors import EventNotFound, EventsTooLarge
from promise_pub.features.journal.members import MAX_TEXT as MAX_MEMBER
from promise_pub.features.journal.ports import BATCH
from promise_pub.features.journal.selecting import LIMIT, MAX_LIMIT, MAX_SEQ, MAX_TEXT, SOURCES
from promise_pub.http.negotiation import CSV, HTML, JSON, JSONL
from promise_pub.http.openapi.answers import DATABASE, MEDIA_TYPES, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, format_parameter, query
from promise_pub.json_schema import (
    COUNT,
    FLAG,
    MOMENT,
    ORDINAL,
    TEXT,
    Schema,
    array,
    described,
    nullable,
    object_of,
    ref,
)
from promise_pub.spans import SINCE_PATTERN
from promise_pub.topics import MAX_BYTES as MAX_TOPIC

_NUMBER: Schema = {**ORDINAL, "maximum": MAX_SEQ}
_SEQ: Schema = {
    "name": "seq",
    "in": "path",
    "required": True,
    "description": "The event's number.",
    "schema": _NUMBER,
}
_TOPIC: Schema = {
    "type": "string",
    "maxLength": MAX_TOPIC,
    "pattern": r"^[!-\"$-)+-\-/-~]+(\.[!-\"$-)+-\-/-~]+)*$",
}
_LINE: Schema = {"type": "string", "maxLength": MAX_MEMBER, "pattern": "^[!-~]([ -~]*[!-~])?$"}
_SOURCE: Schema = {"type": "string", "enum": [*SOURCES]}
_EVENT_HEADERS = ("Link", "X-Journal-Oldest", "X-Journal-Newest")


def _list() -> Operation:
    text = {"type": "string", "maxLength": MAX_TEXT}
    when = {"type": "string", "pattern": SINCE_PATTERN}
    return {
        "operationId": "listEvents",
        "tags": ["journal"],
        "summary": "List the events of the journal",
        "description": "The newest first, or with `after` in the order of their numbers. A request looks at a bounded "
        "number of events and gives a bounded number of bytes: a page may be short, or empty, and not be the last. "
        "`Link` has the address to go on. For operators, if users log in.",
        "parameters": [
            query(
                "after", {**COUNT, "maximum": MAX_SEQ}, "Only events after this number, ascending; not with `before`."
            ),
            query("before", _NUMBER, "Only events before this number, descending."),
            query("limit", {**ORDINAL, "maximum": MAX_LIMIT, "default": LIMIT}, "At most so many."),
            query(
                "topic",
                {"type": "string", "maxLength": MAX_TOPIC, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"},
                "A pattern of topics: `*` stands for a word, `#` for any number of them.",
                example="promise-pub.run.#",
            ),
            query("sender", text, "Only events of this sender."),
            query("subject", text, "Only events about this."),
            query("source", _SOURCE, "Only events that came this way."),
            query("since", when, "A span such as `24h`, or a time; earlier events are left out.", example="7d"),
            query("until", when, "The same; only events before it.", example="1h"),
            format_parameter(HTML, JSON, CSV, JSONL),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer(
                "Events.",
                {**formats(ref("JournalEvents"), csv=True), MEDIA_TYPES[JSONL]: {"schema": TEXT}},
                *("ETag", "Vary", *_EVENT_HEADERS),
            ),
            "304": not_modified("ETag", "Vary", *_EVENT_HEADERS),
            **problems((errors.BadParameter, errors.NotAllowed, errors.ServerBusy, *DATABASE)),
        },
    }


def _show() -> Operation:
    return {
        "operationId": "showEvent",
        "tags": ["journal"],
        "summary": "Show one event",
        "description": "`format=body` gives the bytes of its body as they came. For operators, if users log in.",
        "parameters": [_SEQ, format_parameter(HTML, JSON, "body"), IF_NONE_MATCH],
        "responses": {
            "200": answer(
                "The event.",
                {**formats(ref("JournalEvent")), "application/octet-stream": {"schema": {}}},
                *("ETag", "Vary", "Content-Disposition"),
            ),
            "304": not_modified("ETag", "Vary"),
            **problems((errors.BadParameter, errors.NotAllowed, EventNotFound, errors.ServerBusy, *DATABASE)),
        },
    }


def _post() -> Operation:
    posted = ref("NewEvent")
    several = array(posted, minItems=1, maxItems=BATCH)
    return {
        "operationId": "postEvents",
        "tags": ["journal"],
        "summary": "Add events",
        "description": "One event, or a list. Sent again with the same `id` by the same sender, an event is not added "
        "again. All are checked before any is added. After a 503 they may be there nevertheless: with an `id` each, they "
        "can be sent again. For operators, if users log in.",
        "requestBody": {
            "required": True,
            "content": {
                MEDIA_TYPES[JSON]: {
                    "schema": {"oneOf": [posted, several]},
                    "example": {"topic": "deploy", "data": {"version": "1.4"}},
                }
            },
        },
        "responses": {
            "201": answer("They are in the journal.", formats(ref("PostedEvents"), html=False)),
            **problems(
                (
                    errors.BadParameter,
                    errors.UploadIncomplete,
                    errors.NotAllowed,
                    EventsTooLarge,
                    errors.ServerBusy,
                    *DATABASE,
                )
            ),
        },
    }


def _event() -> Schema:
    return object_of(
        {
            "seq": described(ORDINAL, "Its number: events are numbered without holes, in the order of commits."),
            "at": described(MOMENT, "When it happened, as its sender says."),
            "received_at": described(MOMENT, "When it came; never falls as `seq` grows."),
            "source": described(_SOURCE, "Who vouches for it: promise-pub, the bus, a user of the API, a file."),
            "topic": TEXT,
            "sender": nullable(TEXT),
            "subject": nullable(TEXT),
            "actor": described(nullable(TEXT), "The user or token that did it."),
            "message_id": nullable(TEXT),
            "content_type": nullable(TEXT),
            "headers": {"type": "object"},
            "size": described(COUNT, "Bytes of its body."),
            "data": {"description": "Its body, where that is JSON and not large; else null."},
        }
    )


def schemas() -> dict[str, Schema]:
    """Returns the schemas by their names."""
    return {
        "JournalEvent": _event(),
        "JournalEvents": object_of(
            {
                "events": array(ref("JournalEvent")),
                "next": described(nullable(ORDINAL), "The number to go on from; null: nothing more at present."),
                "oldest": described(ORDINAL, "The number of the first event that is kept."),
                "newest": described(COUNT, "That of the last event, as these were read; 0 where there is none."),
            }
        ),
        "NewEvent": object_of(
            {
                "topic": described(_TOPIC, "Words with dots between them."),
                "data": {"description": "Any JSON."},
                "at": described(nullable(MOMENT), "When it happened, since 1970; now unless given."),
                "id": described(nullable(_LINE), "Its sender's name for it; one is made unless given."),
                "subject": described(nullable(_LINE), "What it is about."),
            },
            *("at", "id", "subject"),
            additionalProperties=False,
        ),
        "PostedEvents": object_of(
            {
                "events": array(
                    object_of(
                        {
                            "seq": described(ORDINAL, "Its number."),
                            "id": TEXT,
                            "added": described(FLAG, "False where it was there before."),
                        }
                    ),
                    description="In the order in which they were sent.",
                )
            }
        ),
    }


OPERATIONS: Operations = {
    ("GET", "/journal"): _list,
    ("GET", "/journal/{seq}"): _show,
    ("POST", "/journal"): _post,
}
