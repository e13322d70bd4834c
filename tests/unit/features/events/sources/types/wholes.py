"""Files that are read as a whole, read as an import reads them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from promise_pub.features.events.sources.finding import Rejected, judge
from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.sources import Damaged, Found, Ignored, Whole, WrongType

# In Zurich it is the 21st already.
CHANGED = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


def given_file(user: str | None = None, encoding: str = "utf-8") -> GivenFile:
    return GivenFile(ZoneInfo("Europe/Zurich"), CHANGED, encoding, user)


def outcomes_of(source: Whole[Any], content: bytes, given: GivenFile | None = None) -> list[Found | Ignored | Rejected]:
    """Returns what becomes of every record, each of which JSON can show, as can every event's data."""
    given = given or given_file()
    outcomes = []
    for record in source.records(content, given):
        json.dumps(record)
        outcome = judge(source, record, given, b"")
        if isinstance(outcome, Found):
            assert outcome.identity
            json.dumps(dict(outcome.data), ensure_ascii=False).encode()
            "".join((outcome.text, outcome.url or "", outcome.user or "", *outcome.tags)).encode()
        elif isinstance(outcome, Rejected):
            assert "failed" not in outcome.reason
        outcomes.append(outcome)
    return outcomes


def found_in(source: Whole[Any], content: bytes, given: GivenFile | None = None) -> list[Found]:
    """Returns the events of a file of which every record is one."""
    outcomes = outcomes_of(source, content, given)
    assert all(isinstance(one, Found) for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, Found)]


def reasons_in(source: Whole[Any], content: bytes) -> list[str]:
    """Returns the reasons of all records that are none."""
    return [one.reason for one in outcomes_of(source, content) if isinstance(one, Rejected)]


def identities_before_the_end(source: Whole[Any], content: bytes) -> list[bytes | None]:
    """Returns the identities of the events of a file that may be refused, or end anywhere."""
    identities = []
    given = given_file()
    with suppress(WrongType, Damaged):
        for record in source.records(content, given):
            outcome = judge(source, record, given, b"")
            if isinstance(outcome, Found):
                identities.append(outcome.identity)
    return identities
