from __future__ import annotations

from datetime import UTC, datetime

import pytest

from promise_pub.features.events.reports.grouped import By, ValueCount, count_places, count_values
from promise_pub.features.events.reports.places import PlaceCount
from promise_pub.features.events.reports.records import DatedEvent

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_events_are_counted_by_url_and_those_without_one_are_not() -> None:
    urls = ["http://a/1", None, "http://b/", "http://a/1", ""]
    events = [DatedEvent(at=AT, type="find", label="x", text="", url=url) for url in urls]

    assert {*count_places(iter(events))} == {PlaceCount("http://a/1", 2), PlaceCount("http://b/", 1)}


@pytest.mark.parametrize("by", By)
def test_events_are_counted_by_every_field_most_first_then_by_name(by: By) -> None:
    others = {"type": "t", "label": "l", "kind": "k", "host": "h", "user": "u", "text": ""}
    events = [DatedEvent(at=AT, **(others | {by.value: value})) for value in ("b", "c", "a", "c")]

    assert count_values(iter(events), by) == [ValueCount("c", 2), ValueCount("a", 1), ValueCount("b", 1)]


def test_events_without_a_value_are_counted_too() -> None:
    events = [DatedEvent(at=AT, type="find", label="x", text="", user=user) for user in ("", None, "ann")]

    assert count_values(events, By.USER) == [ValueCount(None, 1), ValueCount("", 1), ValueCount("ann", 1)]
