"""The description of the published messages, for authors of consumers: AsyncAPI 3.0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from promise_pub import __version__
from promise_pub.parameters.columns import NAME_AND_MAIL
from promise_pub.settings.model import RabbitSettings

VERSION = "3.0.0"
BINDING = "0.3.0"  # of AsyncAPI's words for AMQP

Schema = dict[str, Any]

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_EXAMPLE_RUN = "7b0e0a52-58ea-4b39-a0b3-1f1b3d6f7c11"

_WORDS = """\
promise-pub opens a session with the consumer over HTTP (`/create/`), and publishes every accepted row of a file to the \
queue that is named like the session, through the default exchange: persistent, mandatory, with publisher confirms. A row \
that is published again, after a lost connection, keeps its `message_id`: take a message with an id you have had before \
for a duplicate.
"""


def properties_schema() -> Schema:
    """Describes the properties of a message. It has no others, and no table of headers."""
    return {
        "type": "object",
        "properties": {
            "content_type": {"const": "application/json"},
            "delivery_mode": {"const": 2, "description": "Persistent."},
            "message_id": {
                "type": "string",
                "pattern": f"^{_UUID}:[1-9][0-9]*$",
                "description": "The run's id and the row's number, which counts the accepted rows of the file from 1.",
            },
            "app_id": {"const": "promise-pub"},
            "timestamp": {
                "type": "integer",
                "minimum": 0,
                "description": "When the run started, in seconds since 1970 (UTC).",
            },
        },
        "required": ["content_type", "delivery_mode", "message_id", "app_id", "timestamp"],
        "additionalProperties": False,
    }


def body_schema(columns: tuple[str, ...]) -> Schema:
    """Describes the body of a row with these columns: UTF-8 JSON, keys in their order."""
    return {
        "type": "object",
        "properties": {column: {"type": "string"} for column in columns},
        "required": [*columns],
        "additionalProperties": False,
    }


def any_body_schema() -> Schema:
    """Describes the body of a row with any columns."""
    return {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "minProperties": 1,
        "description": "A key for each column of the run, in their order; every value is a string.",
    }


def describe(rabbit: RabbitSettings, features: Iterable[Mapping[str, Mapping[str, Any]]] = ()) -> dict[str, Any]:
    """Describes the broker of these settings (without its user), the queues and the messages; and what features publish."""

    def of_features(part: str) -> dict[str, Any]:
        return {name: one for messages in features for name, one in messages.get(part, {}).items()}

    return {
        "asyncapi": VERSION,
        "info": {"title": "promise-pub", "version": __version__, "description": _WORDS},
        "defaultContentType": "application/json",
        "servers": {"broker": _server(rabbit)},
        "channels": {"session": _channel(rabbit), **of_features("channels")},
        "operations": {"publishRow": _operation(), **of_features("operations")},
        "components": {
            "messages": {
                "row": _row(),
                "rowOfOtherColumns": _row_of_other_columns(),
                **of_features("messages"),
            },
            "schemas": {
                "Properties": properties_schema(),
                "Row": body_schema(NAME_AND_MAIL),
                "RowOfOtherColumns": any_body_schema(),
                **of_features("schemas"),
            },
        },
    }


def _server(rabbit: RabbitSettings) -> Schema:
    return {
        "host": f"{rabbit.host}:{rabbit.port}",
        "pathname": f"/{rabbit.vhost.removeprefix('/')}",
        "protocol": "amqps" if rabbit.ssl else "amqp",
        "protocolVersion": "0.9.1",
        "description": "RabbitMQ; the path names the virtual host.",
    }


def _channel(rabbit: RabbitSettings) -> Schema:
    exchange = {"name": "", "type": "default", "vhost": rabbit.vhost}
    return {
        "address": "{session}",
        "title": "A session's queue",
        "description": "The consumer declares it before it answers `/create/`, as it likes, and deletes it at `/remove/`.",
        "servers": [{"$ref": "#/servers/broker"}],
        "parameters": {"session": {"description": "The session's `uuid`, as the consumer named it."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ("row", "rowOfOtherColumns")},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING}},
    }


def _operation() -> Schema:
    bindings = {
        "deliveryMode": 2,
        "mandatory": True,
        "timestamp": True,
        "ack": True,
        "bindingVersion": BINDING,
    }
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/session"},
        "summary": "Publishes one accepted row.",
        "description": "In the order of the file. In live mode the consumer reads while rows arrive, in batch mode once all are there.",
        "bindings": {"amqp": bindings},
    }


def _row() -> Schema:
    return _message(
        "Row",
        "A row of a file with the columns that runs have unless they are asked for others.",
        {"name": "Ann Lee", "mail": "ann@example.com"},
    )


def _row_of_other_columns() -> Schema:
    return _message(
        "RowOfOtherColumns",
        "A row of a run that was asked to have other columns, or takes them from the file's first line.",
        {"id": "17", "city": "Lyon", "country": ""},
    )


def _message(schema: str, summary: str, example: dict[str, str]) -> Schema:
    properties = {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": f"{_EXAMPLE_RUN}:1",
        "app_id": "promise-pub",
        "timestamp": 1767225600,
    }
    return {
        "name": schema,
        "summary": summary,
        "description": "`headers` describes the properties of the AMQP message; its table of headers is empty.",
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Properties"},
        "correlationId": {"location": "$message.header#/message_id"},
        "payload": {"$ref": f"#/components/schemas/{schema}"},
        "bindings": {"amqp": {"contentEncoding": "utf-8", "bindingVersion": BINDING}},
        "examples": [{"headers": properties, "payload": example}],
    }
