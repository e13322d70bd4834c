"""The description of the messages: AsyncAPI's own schema accepts it, and it tells a message from what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from promise_pub.delivery.broker.messages import EXCHANGE, MessageEncoder
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings
from promise_pub.web.docs import asyncapi
from tests.described_messages import OF_THE_TESTS, Inspector, properties_of

ASYNCAPI = Path(__file__).parents[3] / "data" / "asyncapi" / "3.0.0.json"
RABBIT = RabbitSettings(host="broker.example", port=5671, password="secret", vhost="shop", ssl=True)
RUN = UUID("5d1b2a9e-0000-4000-8000-00000000000a")


def test_asyncapi_accepts_the_description() -> None:
    own = jsonschema_rs.validator_for(json.loads(ASYNCAPI.read_text()))
    described = asyncapi.describe(RABBIT)
    assert [error.message for error in own.iter_errors(described)] == []
    assert not own.is_valid({**described, "channels": {"session": {"address": 5}}})


def test_the_broker_is_named_and_who_logs_in_to_it_is_not() -> None:
    described = asyncapi.describe(RABBIT)
    broker = described["servers"]["broker"]
    assert (broker["host"], broker["protocol"]) == ("broker.example:5671", "amqps")
    assert broker["pathname"] == "/shop"
    assert "secret" not in json.dumps(described) and "guest" not in json.dumps(described)
    plain = asyncapi.describe(RabbitSettings(host="localhost"))["servers"]["broker"]
    assert (plain["protocol"], plain["pathname"]) == ("amqp", "/")


def test_the_channel_is_the_exchange_that_is_published_to() -> None:
    channel = asyncapi.describe(RABBIT)["channels"]["session"]
    assert channel["bindings"]["amqp"]["exchange"]["name"] == EXCHANGE


def test_its_examples_are_messages() -> None:
    inspector = Inspector()
    for message in asyncapi.describe(RABBIT)["components"]["messages"].values():
        for example in message["examples"]:
            inspector.look(example["headers"], json.dumps(example["payload"]).encode())
    inspector.approve()
    assert inspector.seen == 2


def test_the_frames_that_are_written_are_the_message_that_is_described() -> None:
    encoder = MessageEncoder(RUN, datetime(2026, 1, 1, tzinfo=UTC), 1000, RowDigest())
    encoder.route_to("queue")
    data = encoder.encode([Row(7, "Grace \N{CRAB}", "g@x")])
    parts = []
    while data:
        length, _, part = frame.unmarshal(data)
        parts.append(part)
        data = data[length:]
    publish, header, body = parts
    assert isinstance(publish, Basic.Publish) and publish.mandatory
    assert isinstance(header, ContentHeader) and isinstance(body, ContentBody)
    inspector = Inspector()
    inspector.look(properties_of(header.properties), body.value or b"")
    inspector.approve()
    row = asyncapi.describe(RABBIT)["components"]["schemas"]["Row"]
    assert [*row["properties"]] == [*json.loads(body.value or b"")]


GOOD: dict[str, Any] = {
    "content_type": "application/json",
    "delivery_mode": 2,
    "message_id": f"{RUN}:1",
    "app_id": "promise-pub",
    "timestamp": 1,
}
BODY = b'{"name": "a", "mail": "b"}'


@pytest.mark.parametrize(
    ("properties", "body"),
    [
        (GOOD | {"content_type": "text/plain"}, BODY),
        (GOOD | {"delivery_mode": 1}, BODY),
        (GOOD | {"message_id": f"{RUN}:0"}, BODY),
        (GOOD | {"message_id": "1"}, BODY),
        (GOOD | {"app_id": "another"}, BODY),
        (GOOD | {"headers": {"x": 1}}, BODY),
        ({name: GOOD[name] for name in GOOD if name != "timestamp"}, BODY),
        (GOOD, b""),
        (GOOD, b"[]"),
        (GOOD, b"{}"),
        (GOOD, b'{"name": 1, "mail": "b"}'),
        (GOOD, b"\xff"),
    ],
)
def test_what_is_no_such_message_is_told(properties: dict[str, Any], body: bytes) -> None:
    inspector = Inspector()
    inspector.look(properties, body)
    with pytest.raises(AssertionError):
        inspector.approve()


def test_what_the_tests_made_is_let_pass() -> None:
    inspector = Inspector()
    inspector.look({"app_id": OF_THE_TESTS}, b"no message at all")
    inspector.approve()
    assert inspector.seen == 0
