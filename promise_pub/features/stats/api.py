"""The operations of statistics in the API's description, and the schemas of what they give."""

from __future__ import annotations

from typing import get_args

from promise_pub import errors
from promise_pub.features.stats.asked import MAX_TOP, MAX_VERSION
from promise_pub.features.stats.errors import StatisticNotFound
from promise_pub.features.stats.records import Kind, State
from promise_pub.http.negotiation import CSV, HTML, JSON, SVG
from promise_pub.http.openapi.answers import DATABASE, MEDIA_TYPES, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, PAGE_HEADERS, format_parameter, page_parameters, query
from promise_pub.json_schema import (
    AMOUNT,
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

_NAME: Schema = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The statistic's name.",
    "schema": {"type": "string", "pattern": "^[a-z0-9-]{1,60}$"},
    "example": "runs",
}
_VERSION = query("version", {**COUNT, "maximum": MAX_VERSION}, "Another version than the one that is shown.")


def _list() -> Operation:
    return {
        "operationId": "listStatistics",
        "tags": ["statistics"],
        "summary": "List the statistics",
        "description": "What each counts, and how far it is.",
        "parameters": [format_parameter(HTML, JSON, CSV), IF_NONE_MATCH],
        "responses": {
            "200": answer("The statistics, by name.", formats(ref("Statistics"), csv=True), "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((errors.BadParameter, errors.ServerBusy, *DATABASE)),
        },
    }


def _rows() -> Operation:
    when = {"type": "string", "pattern": SINCE_PATTERN}
    switch = {"type": "string", "enum": ["true", "false"]}
    content = {**formats(ref("StatisticRows"), csv=True), MEDIA_TYPES[SVG]: {"schema": TEXT}}
    return {
        "operationId": "listStatisticRows",
        "tags": ["statistics"],
        "summary": "List the rows of a statistic",
        "description": "By window and key, the newest first. `Link` has the addresses of the other pages, which keep to "
        "the span of this one while events come. `format=svg` draws windows instead.",
        "parameters": [
            _NAME,
            query(
                "interval",
                {"type": "string", "maxLength": 50},
                "One of the statistic's, as `1h`; else the one that makes 30 to 400 windows of the span.",
            ),
            query(
                "since", when, "A span such as `24h`, or a time: windows that end before it are left out.", example="7d"
            ),
            query("until", when, "The same; only windows that start before it.", example="1h"),
            query(
                "key",
                array({"type": "string", "maxLength": 250}, maxItems=4),
                "Only rows with this value of a column, as `column:value`; or the value alone where there is one column. "
                "May be repeated for other columns.",
                explode=True,
                style="form",
            ),
            query("top", {**ORDINAL, "maximum": MAX_TOP}, "Only so many keys; all others as one, whose `key` is null."),
            query("fill", {"type": "string", "enum": ["zero"]}, "Rows also for windows in which nothing was counted."),
            query("cumulative", switch, "Each row with the sum of those of its key up to it."),
            query(
                "order", {"type": "string", "enum": ["desc", "asc"], "default": "desc"}, "The newest first, or last."
            ),
            *page_parameters("Rows"),
            _VERSION,
            format_parameter(HTML, JSON, CSV, SVG),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer("Rows.", content, "ETag", "Vary", "X-Total-Count", "Link"),
            "304": not_modified("ETag", "Vary", *PAGE_HEADERS),
            **problems((errors.BadParameter, StatisticNotFound, errors.ServerBusy, *DATABASE)),
        },
    }


def _layout() -> Operation:
    return {
        "operationId": "showStatisticLayout",
        "tags": ["statistics"],
        "summary": "Show what rows of a statistic look like",
        "description": "With the plugin's own layout, handed through.",
        "parameters": [_NAME, _VERSION, format_parameter(HTML, JSON), IF_NONE_MATCH],
        "responses": {
            "200": answer("The layout.", formats(ref("StatisticLayout")), "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((errors.BadParameter, StatisticNotFound, *DATABASE)),
        },
    }


def _statistic() -> Schema:
    percent = {"type": "integer", "minimum": 0, "maximum": 100}
    return object_of(
        {
            "name": TEXT,
            "summary": TEXT,
            "kind": _KIND,
            "intervals": array(TEXT, description="The widths of its windows; `all` is all time."),
            "unit": TEXT,
            "version": COUNT,
            "state": described(
                {"type": "string", "enum": [*get_args(State)]},
                "Set aside: no longer counted, for its trouble. Absent: its plugin is not installed.",
            ),
            "trouble": nullable(TEXT),
            "position": described(COUNT, "The number of the last event that it counted."),
            "behind": described(COUNT, "Events that it has still to count."),
            "left_out": described(COUNT, "Events that it failed at."),
            "gaps": described(COUNT, "Spans of events that it never counted."),
            "rebuilding": described(nullable(percent), "Percents of the events that a newer version has counted."),
        }
    )


_KIND: Schema = {"type": "string", "enum": [*get_args(Kind)]}


def _row() -> Schema:
    values = {
        "count": {"type": "integer"},
        **{name: nullable(AMOUNT) for name in ("mean", "p50", "p95", "p99", "max")},
        "about": described(COUNT, "About how many different ones."),
        "value": {"description": "Any JSON."},
    }
    moments = {
        "start": described(nullable(MOMENT), "The window's start; null for all time."),
        "end": described(nullable(MOMENT), "The first moment after it."),
        "at": described(MOMENT, "When the entry was new."),
    }
    key = {"type": "object", "additionalProperties": TEXT}
    return object_of(
        {**moments, "key": described(nullable(key), "By column; null: all other keys."), **values},
        *moments,
        *values,
    )


def schemas() -> dict[str, Schema]:
    """Returns the schemas by their names."""
    return {
        "Statistic": _statistic(),
        "Statistics": object_of(
            {"statistics": array(ref("Statistic")), "newest": described(COUNT, "The number of the last event.")}
        ),
        "StatisticRow": _row(),
        "StatisticRows": object_of(
            {
                "statistic": ref("Statistic"),
                "interval": described(nullable(TEXT), "The width of the windows; null where there are none."),
                "since": nullable(MOMENT),
                "until": nullable(MOMENT),
                "total": described(COUNT, "Rows on all pages."),
                "rows": array(ref("StatisticRow")),
            }
        ),
        "StatisticLayout": object_of(
            {
                "name": TEXT,
                "version": COUNT,
                "kind": _KIND,
                "summary": TEXT,
                "columns": array(TEXT),
                "measures": array(object_of({"name": TEXT, "unit": TEXT})),
                "intervals": array(TEXT),
                "topics": array(TEXT),
                "own": described(FLAG, "Only events that promise-pub itself vouches for count."),
                "backlog": described(nullable(COUNT), "Seconds of history that it began with; null: all."),
                "layout": {"description": "The plugin's own, any JSON."},
            }
        ),
    }


OPERATIONS: Operations = {
    ("GET", "/stats"): _list,
    ("GET", "/stats/{name}"): _rows,
    ("GET", "/stats/{name}/layout"): _layout,
}
