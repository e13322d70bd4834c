"""The descriptions of a run's parameters and of the request that holds its file."""

from __future__ import annotations

from collections.abc import Iterable

from promise_pub.http.openapi.parameters import query
from promise_pub.json_schema import TEXT, UUID, Schema, described
from promise_pub.parameters import FILE_FIELD, PARAMETERS, Parameter
from promise_pub.web.runs.forms import RAW_TYPES

RUN_ID: Schema = {"name": "id", "in": "path", "required": True, "description": "The run's id.", "schema": UUID}


def in_query(parameters: Iterable[Parameter] = PARAMETERS) -> list[Schema]:
    """Describes these parameters as they stand in the query string."""
    return [query(one.name, _schema(one), one.help) for one in parameters]


def _schema(parameter: Parameter) -> Schema:
    default = parameter.as_request(parameter.default)
    return parameter.schema if default is None else {**parameter.schema, "default": default}


def file_body() -> Schema:
    fields = {one.name: described(_schema(one), one.help) for one in PARAMETERS}
    file = {
        "type": "string",
        "format": "binary",
        "minLength": 1,
        "contentMediaType": "text/csv",
        "description": "The CSV, with its name.",
    }
    form = {
        "type": "object",
        "properties": {FILE_FIELD: file, **fields},
        "required": [FILE_FIELD],
        "additionalProperties": False,
    }
    return {
        "required": True,
        "description": "The file, with lines such as `Ann Lee,ann@example.com`: as form data, or as the body itself. The query string wins over form fields.",
        "content": {
            "multipart/form-data": {"schema": form, "encoding": {FILE_FIELD: {"contentType": "text/csv"}}},
            **{kind: {"schema": {**TEXT, "minLength": 1}} for kind in sorted(RAW_TYPES)},
        },
    }
