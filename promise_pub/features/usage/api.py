"""The operations of usage in the API's description, and the schemas of what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promise_pub import errors
from promise_pub.features.usage.asked import FORMAT, MAX_ROLLING, MIN_ROLLING
from promise_pub.features.usage.errors import BokehMissing
from promise_pub.features.usage.records import Action, Aggregate
from promise_pub.features.usage.web import PLOT_FORMATS, TABLE_FORMATS
from promise_pub.http.negotiation import PLAIN, SVG
from promise_pub.http.openapi.answers import DATABASE, MEDIA_TYPES, Operation, answer, formats, not_modified, problems
from promise_pub.http.openapi.document import Operations
from promise_pub.http.openapi.parameters import IF_NONE_MATCH, query
from promise_pub.http.problem_catalog import Kind
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
    one_of,
    ref,
)
from promise_pub.spans import DAY_PATTERN, SINCE_PATTERN

_DATE: Schema = {"type": "string", "format": "date"}
_ASKED_DAY: Schema = {"type": "string", "pattern": DAY_PATTERN, "example": "2026-01-05"}
_ROLLING: Schema = {"anyOf": [{"enum": [0, ""]}, {"type": "integer", "minimum": MIN_ROLLING, "maximum": MAX_ROLLING}]}
_ERRORS: tuple[Kind, ...] = (errors.BadParameter, errors.NotAllowed, errors.ServerBusy, *DATABASE)


def _question(named: Sequence[str]) -> Mapping[str, Schema]:
    """Describes the parameters, by their names. Of empty ones, as forms send them, none is given."""
    when = {"type": "string", "pattern": SINCE_PATTERN}
    more = "a day, a time (its day in the days' zone), or a span before now, such as `90d`"
    names = _one_of(*Aggregate, *(one[0] for one in Aggregate))
    chosen = _one_of(*named)
    return {
        "start": described(
            when, f"The first day: {more}. Unless given, 90 days before `end`, moved back to a period's start."
        ),
        "end": described(when, f"The first day that is not included: {more}. Unless given, tomorrow."),
        "aggregate": described(
            names, "The periods, in any case; `week` unless given, `day` with `rolling`. Weeks are ISO's."
        ),
        "rolling": described(_ROLLING, "Users of so many days up to each day; only by day. 0 is none."),
        "action": described(_one_of(*Action), "The action that users are counted by; `login` unless given."),
        "content_type": described(chosen, "The format of the answer; it goes before `Accept`."),
        "format": described(chosen, "The same; where both are given, they are equal."),
    }


def _one_of(*texts: str) -> Schema:
    return {"type": "string", "enum": [*texts, ""]}


def _parameters(described_ones: Mapping[str, Schema]) -> list[Schema]:
    return [
        query(name, {key: value for key, value in schema.items() if key != "description"}, schema["description"])
        for name, schema in described_ones.items()
    ]


def _get(
    name: str, summary: str, words: str, named: Sequence[str], content: Mapping[str, Any], *more: Kind
) -> Operation:
    return {
        "operationId": name,
        "tags": ["usage"],
        "summary": summary,
        "description": words,
        "parameters": [*_parameters(_question(named)), IF_NONE_MATCH],
        "responses": {
            "200": answer("Usage.", content, "ETag", "Vary"),
            "304": not_modified("ETag", "Vary"),
            **problems((*_ERRORS, *more)),
        },
    }


def _post(get: Operation, named: Sequence[str]) -> Operation:
    """Describes the same question, asked in the body."""
    body = {"type": "object", "properties": {**_question(named)}, "additionalProperties": False}
    content = {kind: {"schema": body} for kind in ("application/json", "application/x-www-form-urlencoded")}
    broken = (errors.UploadIncomplete, errors.UploadTooSlow, errors.EncodingNotSupported)
    responses = {status: told for status, told in get["responses"].items() if status not in ("200", "304")}
    found = get["responses"]["200"]
    return {
        **{name: get[name] for name in ("tags", "summary", "description")},
        "operationId": f"{get['operationId']}ByPost",
        "requestBody": {"content": content},
        "responses": {
            **responses,
            "200": answer(found["description"], found["content"], "Vary"),
            **problems((*(kind for kind in _ERRORS if kind.code == errors.BadParameter.code), *broken)),
        },
    }


def _table_content() -> dict[str, Any]:
    return {**formats(ref("Usage"), csv=True), MEDIA_TYPES[PLAIN]: {"schema": TEXT}}


def _show() -> Operation:
    words = "Different users by day, week, month, quarter or year. As a page also those of the last days."
    return _get("showUsage", "Show usage", words, TABLE_FORMATS, _table_content())


def _show_first() -> Operation:
    return {**_show(), "operationId": "showUsageFirst"}


def _list() -> Operation:
    words = "Different users by day, week, month, quarter or year."
    return _get("listUsage", "List usage", words, TABLE_FORMATS, _table_content())


def _plot() -> Operation:
    words = (
        "A bar for each period, the newest 1,000. `bokeh` is the item that `Bokeh.embed.embed_item` takes, where "
        "promise-pub[bokeh] is installed on the server."
    )
    json = {"anyOf": [ref("UsagePlot"), described({"type": "object", "required": ["target_id"]}, "An item of Bokeh.")]}
    content = {**formats(json), MEDIA_TYPES[SVG]: {"schema": TEXT}}
    return _get("plotUsage", "Plot usage", words, PLOT_FORMATS, content, BokehMissing)


def _day() -> Operation:
    question = _question(TABLE_FORMATS)
    return {
        "operationId": "showUsageDay",
        "tags": ["usage"],
        "summary": "Show who acted on a day",
        "parameters": [
            {"name": "day", "in": "path", "required": True, "description": "The day.", "schema": _ASKED_DAY},
            *_parameters({name: question[name] for name in ("action", *FORMAT)}),
            IF_NONE_MATCH,
        ],
        "responses": {
            "200": answer(
                "Who acted, by name.",
                {**formats(ref("UsageDay"), csv=True), MEDIA_TYPES[PLAIN]: {"schema": TEXT}},
                "ETag",
                "Vary",
            ),
            "304": not_modified("ETag", "Vary"),
            **problems(_ERRORS),
        },
    }


def schemas() -> dict[str, Schema]:
    """Returns the schemas by their names."""
    through = described(nullable(MOMENT), "The moment up to which days were condensed; null before the first time.")
    zone = described(TEXT, "The time zone of the days.")
    return {
        "UsagePeriod": object_of(
            {
                "period": described(TEXT, "2026-01-05, 2026-W02, 2026-01, 2026-Q1 or 2026."),
                "start": _DATE,
                "end": described(_DATE, "The first day after it."),
                "users": described(COUNT, "Different ones."),
                "actions": COUNT,
                "complete": described(FLAG, "False where the range cuts it, or it is not over yet."),
            }
        ),
        "Usage": object_of(
            {
                "action": one_of(Action),
                "aggregate": one_of(Aggregate),
                "rolling": COUNT,
                "timezone": zone,
                "start": _DATE,
                "end": _DATE,
                "through": through,
                "excluded": array(TEXT, description="Names that are not counted."),
                "users": described(COUNT, "Different ones over the whole range."),
                "zone_changes": array(
                    object_of({"day": _DATE, "timezone": TEXT}), description="Days from which on the zone is another."
                ),
                "periods": array(ref("UsagePeriod")),
            }
        ),
        "UsagePlot": object_of(
            {
                "title": TEXT,
                "unit": TEXT,
                "labels": array(TEXT),
                "values": array(COUNT),
                "complete": array(FLAG),
            }
        ),
        "UsageDay": object_of(
            {
                "day": _DATE,
                "action": one_of(Action),
                "timezone": zone,
                "through": through,
                "complete": described(FLAG, "False where the day was not condensed to its end."),
                "users": described(COUNT, "Those that are counted."),
                "people": array(
                    object_of({"user": TEXT, "times": ORDINAL, "first": MOMENT, "last": MOMENT, "counted": FLAG})
                ),
            }
        ),
    }


def _posted(get: Callable[[], Operation], named: Sequence[str]) -> Callable[[], Operation]:
    return lambda: _post(get(), named)


OPERATIONS: Operations = {
    ("GET", "/usage"): _show_first,
    ("GET", "/usage/login"): _show,
    ("POST", "/usage/login"): _posted(_show, TABLE_FORMATS),
    ("GET", "/usage/login/raw"): _list,
    ("POST", "/usage/login/raw"): _posted(_list, TABLE_FORMATS),
    ("GET", "/usage/login/plot"): _plot,
    ("POST", "/usage/login/plot"): _posted(_plot, PLOT_FORMATS),
    ("GET", "/usage/days/{day}"): _day,
}
