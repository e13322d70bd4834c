"""The journal as pages, JSON, CSV and JSON lines, and the way in for events that are posted.

Responses may be long, so they are made in a thread: the event loop has to carry a run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from promise_pub.errors import FileTooLarge
from promise_pub.event_records import Event
from promise_pub.features.journal.errors import EventNotFound, EventsTooLarge
from promise_pub.features.journal.ports import Appending, EventPage, JournalReader
from promise_pub.features.journal.posting import Posting
from promise_pub.features.journal.report import COLUMNS, encode_event, encode_line, excerpt, list_cells, show_body
from promise_pub.features.journal.selecting import MAX_SEQ, MAX_TEXT, PARAMETERS, SOURCES, Asked, parse_asked
from promise_pub.http.intake.bodies import receive_body
from promise_pub.http.intake.expect import defer_continue
from promise_pub.http.keys import name_of_principal, require_operator
from promise_pub.http.negotiation import CSV, HTML, JSON, JSONL, negotiate_format
from promise_pub.http.pagination import parse_query
from promise_pub.http.responses import as_csv, as_json, as_json_lines, large_answer, page
from promise_pub.json_text import dump_json

JOURNAL = web.AppKey("journal", JournalReader)
POSTING = web.AppKey("journal_posting", Posting)
MAX_POSTED = 512 * 1024  # bytes of a request with events: read in some 20 ms at worst, for which no other thread runs
POST_TIMEOUT = 30.0  # seconds for them to arrive
BODY = "body"  # the format of an event's bytes as they came
SPANS = (
    ("", "all time"),
    ("1h", "the last hour"),
    ("24h", "the last 24 hours"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
)

routes = web.RouteTableDef()

Render = Callable[[web.Request, Asked, EventPage], web.Response]


@routes.get("/journal")
async def list_events(request: web.Request) -> web.Response:
    """Lists events: the newest first, or with `after` in the order of their numbers."""
    require_operator(request)
    wanted = negotiate_format(request, table=True, more=(JSONL,))
    asked = parse_asked(parse_query(request, PARAMETERS), datetime.now(UTC))
    async with large_answer(request) as make:
        found = await request.app[JOURNAL].read(asked.selection)
        response = await make(_RENDER[wanted], request, asked, found)
    links = asked.links(found)
    if links:
        response.headers["Link"] = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items())
    response.headers["X-Journal-Oldest"], response.headers["X-Journal-Newest"] = str(found.oldest), str(found.newest)
    return response


def _as_json(_: web.Request, __: Asked, found: EventPage) -> web.Response:
    events = (encode_event(event) for event in found.events)
    return as_json({"events": events, "next": found.next, "oldest": found.oldest, "newest": found.newest})


def _as_csv(_: web.Request, __: Asked, found: EventPage) -> web.Response:
    return as_csv(COLUMNS, map(list_cells, found.events), "journal.csv")


def _as_lines(_: web.Request, __: Asked, found: EventPage) -> web.Response:
    return as_json_lines(map(encode_line, found.events), "journal.jsonl")


def _as_page(request: web.Request, asked: Asked, found: EventPage) -> web.Response:
    links = asked.links(found)
    ascending = asked.selection.after is not None
    events = found.events[::-1] if ascending else found.events
    context = {
        "events": [(event, excerpt(event.body)) for event in events],
        "asked": asked,
        "found": found,
        "older": links.get("prev" if ascending else "next"),
        "newer": links.get("next" if ascending else "prev"),
        "stopped": found.next is not None and len(events) < asked.selection.limit,
        "live": not asked.given.keys() & {"after", "before", "until"},
        "sources": SOURCES,
        "spans": SPANS,
        "max_text": MAX_TEXT,
    }
    return page(request, "journal/events.html", context)


_RENDER: Mapping[str, Render] = {HTML: _as_page, JSON: _as_json, CSV: _as_csv, JSONL: _as_lines}


@routes.get("/journal/{seq}")
async def show_event(request: web.Request) -> web.Response:
    """Shows one event; with format=body its bytes, as they came."""
    require_operator(request)
    wanted = negotiate_format(request, more=(BODY,))
    parse_query(request, ("format",))
    seq = _parse_seq(request.match_info["seq"])
    async with large_answer(request) as make:
        event = await request.app[JOURNAL].get(seq)
        if wanted == BODY:
            return _as_bytes(event)
        return await make(_event_as_json if wanted == JSON else _event_as_page, request, event)


def _parse_seq(text: str) -> int:
    """Raises EventNotFound for what is no number of an event."""
    if text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= MAX_SEQ:
        return int(text)
    raise EventNotFound(f"There is no event {text[:50]}.")


def _as_bytes(event: Event) -> web.Response:
    return web.Response(
        body=event.body,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="event-{event.seq}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _event_as_json(_: web.Request, event: Event) -> web.Response:
    return as_json(encode_event(event))


def _event_as_page(request: web.Request, event: Event) -> web.Response:
    headers = [(name, value if isinstance(value, str) else dump_json(value)) for name, value in event.headers.items()]
    return page(request, "journal/event.html", {"event": event, "headers": headers, "body": show_body(event.body)})


@routes.post("/journal", expect_handler=defer_continue)
async def post_events(request: web.Request) -> web.Response:
    """Appends events; those that are there already stay as they are."""
    require_operator(request)
    parse_query(request, ())
    try:
        body = await receive_body(request, MAX_POSTED, POST_TIMEOUT)
    except FileTooLarge as error:
        raise EventsTooLarge(error.message) from None
    posted = await request.app[POSTING].post(body, name_of_principal(request))
    return as_json({"events": [asdict(one) for one in posted]}, status=201)


def values_of(journal: JournalReader, appending: Appending) -> Mapping[web.AppKey[Any], Any]:
    """Returns what the handlers look up in the application."""
    return {JOURNAL: journal, POSTING: Posting(appending)}
