"""Shapes of JSON: one definition from which a value is written, read and described. Pure.

Written out rather than taken from a library: what the API calls a field, and which fields it shows, is not what the
records have. Reading raises KeyError, TypeError or ValueError for what has another shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import Any

from promise_pub import json_schema
from promise_pub.json_schema import Schema
from promise_pub.times import rfc3339


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a value in JSON. `schema` describes it, `encode` makes JSON types of it, `decode` is the way back."""

    schema: Schema
    encode: Callable[[Any], Any] = _unchanged
    decode: Callable[[Any], Any] = _unchanged


TEXT = Shape(json_schema.TEXT)
COUNT = Shape(json_schema.COUNT, decode=int)
FLAG = Shape(json_schema.FLAG, decode=bool)
MOMENT = Shape(json_schema.MOMENT, rfc3339, datetime.fromisoformat)


def rounded(digits: int) -> Shape:
    """Returns the shape of a number that is written with this many decimal places at most."""
    return Shape(json_schema.AMOUNT, partial(round, ndigits=digits), float)


def one_of(kind: type[StrEnum]) -> Shape:
    return Shape(json_schema.one_of(kind), attrgetter("value"), kind)


def nullable(shape: Shape) -> Shape:
    def encode(value: Any) -> Any:
        return None if value is None else shape.encode(value)

    def decode(told: Any) -> Any:
        return None if told is None else shape.decode(told)

    return Shape(json_schema.nullable(shape.schema), encode, decode)


def array(shape: Shape) -> Shape:
    return Shape(
        json_schema.array(shape.schema),
        lambda values: [shape.encode(value) for value in values],
        lambda told: tuple(shape.decode(one) for one in told),
    )


def named(name: str, shape: Shape) -> Shape:
    """Returns the same shape, described by a reference to the schema of this name."""
    return Shape(json_schema.ref(name), shape.encode, shape.decode)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a JSON object, and the attribute of the record that it shows.

    Without a name, the fields of its shape stand among the object's own. An `optional` one is left out where it is
    None. One that is `newer` may lack in what an older server wrote. What is `computed`, by `compute` where it is no
    attribute, is not read.
    """

    name: str
    shape: Shape
    description: str = ""
    attribute: str = ""
    optional: bool = field(default=False, kw_only=True)
    newer: bool = field(default=False, kw_only=True)
    computed: bool = field(default=False, kw_only=True)
    compute: Callable[[Any], Any] | None = field(default=None, kw_only=True)


def record(kind: type, *fields: Field, description: str = "") -> Shape:
    """Returns the shape of a record as a JSON object with these fields."""
    writing = [
        (one.name, one.compute or attrgetter(one.attribute or one.name), one.shape.encode, one.optional)
        for one in fields
    ]

    def encode(value: Any) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, attribute, encode_part, optional in writing:
            part = attribute(value)
            if not name:
                written |= encode_part(part)
            elif part is not None or not optional:
                written[name] = encode_part(part)
        return written

    def decode(told: Any) -> Any:
        if not isinstance(told, dict):
            raise TypeError(f"a JSON object is needed, not {told!r:.50}")
        values = {}
        for one in fields:
            if not one.name:
                values[one.attribute] = one.shape.decode(told)
            elif not (one.computed or one.compute) and (one.name in told or not (one.optional or one.newer)):
                values[one.attribute or one.name] = one.shape.decode(told[one.name])
        return kind(**values)

    return Shape(_schema(fields, description), encode, decode)


def _schema(fields: tuple[Field, ...], description: str) -> Schema:
    properties: dict[str, Schema] = {}
    for one in fields:
        if not one.name:
            properties |= one.shape.schema["properties"]
        else:
            schema = one.shape.schema
            properties[one.name] = json_schema.described(schema, one.description) if one.description else schema
    optional = [one.name for one in fields if one.optional]
    return json_schema.object_of(properties, *optional, **({"description": description} if description else {}))
