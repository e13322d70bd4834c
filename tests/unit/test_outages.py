"""Outages are told once, and each fault that does not pass by itself."""

from __future__ import annotations

import logging

import pytest

from promise_pub.errors import BrokerLost, BrokerRefused, BrokerUnreachable
from promise_pub.outages import Outage
from promise_pub.retries import Backoff


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage("It is away", "It is back", Backoff(1, 4, jitter=0))
    outage.end()
    delays = [outage.note(error()) for error in (BrokerLost, *[BrokerUnreachable] * 4)]
    assert delays == [1, 2, 4, 4, 4]
    outage.end()
    outage.end()
    assert caplog.messages == ["It is away", "It is back"]
    assert outage.note(BrokerLost()) == 1
    assert caplog.messages[2:] == ["It is away"]


def test_each_fault_that_stays_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("It is away", "It is back")
    for words in ("no right", "another type", "no right"):
        outage.note(BrokerRefused(words))
        outage.note(BrokerLost())
    assert [vars(record)["fields"]["why"] for record in caplog.records] == [
        "no right",
        "The connection to the broker was lost.",
        "another type",
    ]
