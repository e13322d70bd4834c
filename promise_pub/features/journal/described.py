"""promise-pub's own events, described for those who listen on the bus: parts of an AsyncAPI document. Pure."""

from __future__ import annotations

from typing import Any

from promise_pub.delivery.telling import FATES
from promise_pub.features.journal.settings import BusSettings
from promise_pub.json_schema import (
    AMOUNT,
    COUNT,
    FLAG,
    MOMENT,
    ORDINAL,
    TEXT,
    UUID,
    Schema,
    array,
    described,
    nullable,
    object_of,
    one_of,
)
from promise_pub.parameters import PARAMETERS_SHAPE, Mode
from promise_pub.records import Seconds, State, Verdict
from promise_pub.settings.model import RabbitSettings

_RUN = {"run": UUID}
_SIGNED: Schema = {"type": "integer"}
_ROWS = described(
    object_of(dict.fromkeys(FATES, _SIGNED), *FATES, additionalProperties=False),
    "By how much the rows of each fate changed since the run's last event. May be negative: a lost session unconfirms rows. "
    "Over all events of a run they add up to its report.",
)
_LATENCY = described(
    {"type": "object", "additionalProperties": ORDINAL, "propertyNames": {"pattern": "^[0-9]+$"}},
    "Publisher confirms since the run's last event, by their latency: bucket b holds those up to 0.01 · 1.02^b ms.",
)
_MOVED = {**_RUN, "rows": _ROWS, "state": one_of(State), "mode": one_of(Mode), "latency": _LATENCY}
_FILE = object_of({"name": TEXT, "bytes": COUNT, "sha256": TEXT})
_ACCOUNT = {"role": TEXT}

BODIES: dict[str, tuple[str, Schema]] = {
    "run.queued": (
        "A run was queued, for the first time or again.",
        object_of({**_RUN, "resumed": FLAG, "file": _FILE, "parameters": PARAMETERS_SHAPE.schema}),
    ),
    "run.started": (
        "A run has its turn.",
        object_of({**_RUN, "seconds_queued": AMOUNT}),
    ),
    "run.progress": (
        "A run goes on; every ten seconds at most.",
        object_of({**_MOVED, "blocked": FLAG}),
    ),
    "run.ended": (
        "A run has ended: for good, or until it is resumed.",
        object_of(
            {
                **_MOVED,
                "verdict": nullable(one_of(Verdict)),
                "error": described(nullable(TEXT), "The code of the error."),
                "totals": described(object_of(dict.fromkeys(FATES, COUNT)), "The run's report."),
                "seconds": object_of(dict.fromkeys(Seconds.__slots__, AMOUNT)),
                "resends": array(object_of({"rows": COUNT, "reason": TEXT})),
                "file": _FILE,
            }
        ),
    ),
    "employees.cleared": (
        "A run emptied the table employees.",
        object_of({**_RUN, "rows": described(nullable(COUNT), "null: there were too many to count.")}),
    ),
    "account.login": ("A user logged in.", object_of({"user": TEXT, **_ACCOUNT})),
    "account.login_failed": (
        "Logins failed, summed up over a minute.",
        object_of({"reason": TEXT, "times": ORDINAL}),
    ),
    "account.token_used": (
        "A token was used, for the first time in a quarter of an hour.",
        object_of({"token": TEXT, **_ACCOUNT}),
    ),
    "server.started": ("A server has started.", object_of({"version": TEXT})),
    "server.stopped": ("A server has stopped in an orderly way.", object_of({"version": TEXT})),
}
"""The meaning and the body of each event, by its topic without the prefix."""


def describe(rabbit: RabbitSettings, bus: BusSettings) -> dict[str, Any]:
    """Describes the exchange and the events on it."""
    names = {topic: _name(topic) for topic in BODIES}
    return {
        "channels": {
            "events": {
                "address": f"{bus.prefix}.{{event}}",
                "title": "promise-pub's own events",
                "description": "The address is the routing key. An event may come twice, with the same `message_id`.",
                "servers": [{"$ref": "#/servers/broker"}],
                "parameters": {"event": {"description": "The kind of event.", "enum": [*BODIES]}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names.values()},
                "bindings": {
                    "amqp": {
                        "is": "routingKey",
                        "exchange": {"name": bus.exchange, "type": "topic", "durable": True, "vhost": rabbit.vhost},
                        "bindingVersion": "0.3.0",
                    }
                },
            }
        },
        "operations": {
            "publishEvent": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Publishes what happened to promise-pub, in the order of its journal.",
                "bindings": {"amqp": {"deliveryMode": 2, "mandatory": False, "bindingVersion": "0.3.0"}},
            }
        },
        "messages": {
            names[topic]: {
                "name": f"{bus.prefix}.{topic}",
                "summary": words,
                "contentType": "application/json",
                "headers": {"$ref": "#/components/schemas/EventProperties"},
                "correlationId": {"location": "$message.header#/message_id"},
                "payload": {"$ref": f"#/components/schemas/{names[topic]}"},
            }
            for topic, (words, _) in BODIES.items()
        },
        "schemas": {"EventProperties": properties_schema()}
        | {names[topic]: schema for topic, (_, schema) in BODIES.items()},
    }


def properties_schema() -> Schema:
    """Describes the properties of a message that is an own event, its table of headers among them."""
    return object_of(
        {
            "content_type": {"const": "application/json"},
            "delivery_mode": {"const": 2, "description": "Persistent."},
            "message_id": described(TEXT, "The same for the same event."),
            "app_id": {"const": "promise-pub"},
            "timestamp": described(COUNT, "When it happened, in seconds since 1970 (UTC)."),
            "headers": object_of(
                {
                    "at": described(MOMENT, "The same with microseconds."),
                    "seq": described(ORDINAL, "Its number in the journal."),
                    "x-journal": described(UUID, "The name of the journal."),
                    "subject": described(TEXT, "What it is about: the run's id, for example."),
                },
                "subject",
            ),
        },
        additionalProperties=False,
    )


def _name(topic: str) -> str:
    return "".join(word.capitalize() for word in topic.replace("_", ".").split("."))
