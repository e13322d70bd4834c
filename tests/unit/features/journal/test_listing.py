"""The newest events in their order, however many pages they take; and those that come, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from promise_pub.errors import DatabaseRefused, DatabaseUnavailable
from promise_pub.event_records import Event
from promise_pub.features.journal import listing
from promise_pub.features.journal.listing import follow_events, list_newest
from promise_pub.features.journal.ports import Selection
from promise_pub.retries import Backoff
from tests.journal.fake_reader import FakeReader, a_new_event

SOON = Backoff(0.001, 0.001, jitter=0.0)


class Shown:
    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.complaints: list[str] = []

    def __call__(self, events: Sequence[Event]) -> None:
        self.numbers += [event.seq for event in events]

    async def until(self, *numbers: int) -> None:
        async with asyncio.timeout(20):
            while self.numbers != [*numbers]:  # noqa: ASYNC110  another task shows them
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(("limit", "expected"), [(3, [6, 8, 10]), (100, [2, 4, 6, 8, 10]), (1, [10])])
async def test_the_newest_are_shown_in_their_order(
    limit: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LIMIT", 2)
    journal, shown = FakeReader(most_seen=3), Shown()
    for _ in range(5):
        await journal.add(a_new_event("a"), a_new_event("b"))
    assert await list_newest(journal, Selection(topic="b"), limit, shown) == 10
    assert shown.numbers == expected


async def test_of_an_empty_journal_nothing_is_shown() -> None:
    shown = Shown()
    assert await list_newest(FakeReader(), Selection(), 10, shown) == 0
    assert shown.numbers == []


async def test_events_are_followed_through_pages_and_troubles_and_each_is_shown_once() -> None:
    journal, shown = FakeReader(most_seen=3), Shown()
    await journal.add(a_new_event("b"))
    following = asyncio.create_task(
        follow_events(journal, Selection(topic="b"), 1, shown, shown.complaints.append, SOON)
    )
    await journal.add(*(a_new_event("a") for _ in range(7)), a_new_event("b"))
    await shown.until(9)
    for count in (1, 2):
        journal.away = DatabaseUnavailable("The database is away", passes=True)
        asked = len(journal.asked)
        while len(shown.complaints) < count:  # noqa: ASYNC110  the other task complains
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert len(journal.asked) == asked and shown.complaints == ["The database is away"] * count
        journal.away = None
        await journal.add(a_new_event("b"))
        await shown.until(*range(9, 10 + count))
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_a_database_that_refuses_ends_it() -> None:
    journal, shown = FakeReader(), Shown()
    journal.away = DatabaseRefused("No.", passes=False)
    with pytest.raises(DatabaseRefused):
        await follow_events(journal, Selection(), 0, shown, shown.complaints.append, SOON)
    assert shown.complaints == []
