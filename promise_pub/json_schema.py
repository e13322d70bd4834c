"""JSON Schemas, from their parts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

Schema = dict[str, Any]

UUID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ORDINAL: Schema = {"type": "integer", "minimum": 1}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
AMOUNT: Schema = {"type": "number", "minimum": 0}


def ref(name: str) -> Schema:
    """Refers to a schema of the API's description."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(kind: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [one.value for one in kind]}


def nullable(schema: Schema) -> Schema:
    """Allows null besides."""
    if "enum" in schema or not isinstance(schema.get("type"), str):
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def object_of(properties: Mapping[str, Schema], *optional: str, **more: Any) -> Schema:
    """Describes an object that has all of these properties, except for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": {**properties}, "required": required, **more}
