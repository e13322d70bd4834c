"""Own events as `/asyncapi.json` describes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.telling import RunTelling, tell_cleared
from promise_pub.event_records import OutboxEvent
from promise_pub.features.journal.described import BODIES, describe
from promise_pub.features.journal.settings import BusSettings
from promise_pub.records import Counts, Fault, Resent, State
from promise_pub.settings.model import RabbitSettings
from promise_pub.web.docs import asyncapi
from tests.run_parts import ended, report

ASYNCAPI = Path(__file__).parents[3] / "data" / "asyncapi" / "3.0.0.json"
RABBIT = RabbitSettings(host="broker.example", vhost="shop")


def described() -> dict[str, Any]:
    return asyncapi.describe(RABBIT, [describe(RABBIT, BusSettings(exchange="x", prefix="mine"))])


def events_of_a_run() -> list[OutboxEvent]:
    now = [0.0]
    telling = RunTelling(clock=lambda: now[0])
    latency = LatencyHistogram()
    latency.add(1.5, 40)
    events: list[OutboxEvent] = []
    for run in (
        report(state=State.QUEUED, counts=Counts(), session=None),
        report(counts=Counts(read=5)),
        report(),
        report(state=State.FAILED, error=Fault("broker_lost", "gone"), finished_at=report().created_at),
        report(state=State.QUEUED),
        report(counts=Counts(read=1)),
        ended(resends=(Resent(3, "a connection was lost"),)),
    ):
        now[0] += 10
        telling.note_latency(latency)
        news = telling.tell(run)
        telling.confirm(news)
        events += news.events
    return [*events, tell_cleared(report(), 3)]


def test_asyncapi_accepts_the_description() -> None:
    own = jsonschema_rs.validator_for(json.loads(ASYNCAPI.read_text()))
    assert [error.message for error in own.iter_errors(described())] == []


def test_the_channel_is_the_exchange_of_the_configuration() -> None:
    channel = described()["channels"]["events"]
    assert channel["address"] == "mine.{event}"
    assert channel["bindings"]["amqp"]["exchange"]["name"] == "x"
    assert channel["bindings"]["amqp"]["exchange"]["vhost"] == "shop"


@pytest.mark.parametrize("event", events_of_a_run(), ids=lambda event: event.message_id[-8:])
def test_events_of_runs_are_as_described(event: OutboxEvent) -> None:
    schema = BODIES[event.topic][1]
    body = json.loads(json.dumps(event.body))
    assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(body)] == []
    assert {*body} == {*schema["properties"]}, "nothing that is not described"


def test_a_run_makes_each_kind_of_event() -> None:
    topics = [event.topic for event in events_of_a_run()]
    assert {*topics} == {topic for topic in BODIES if topic.startswith(("run.", "employees."))}
    assert topics.count("run.ended") == 2
