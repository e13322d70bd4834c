"""The keeper of the journal, without a database."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import UUID

import pytest

from promise_pub.errors import DatabaseError, DatabaseUnavailable
from promise_pub.features.journal import keeping
from promise_pub.features.journal.keeping import JournalKeeper
from promise_pub.features.journal.ports import BATCH, Head
from tests.fakes import until

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class FakeStorage:
    """A journal with an outbox: numbers of events alone."""

    def __init__(self) -> None:
        self.outbox = self.seq = self.published = self.asked = 0
        self.away: Exception | None = None

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise self.away

    async def head(self) -> Head:
        self._ask()
        return Head(self.seq, 1, NOW, self.published, UUID(int=1), bool(self.outbox))

    async def drain_outbox(self, prefix: str) -> int:
        self._ask()
        assert prefix == "mine"
        moved = min(self.outbox, BATCH)
        self.outbox -= moved
        self.seq += moved
        return moved


class FakePublisher:
    def __init__(self) -> None:
        self.heads: list[int] = []

    def tell(self, head: Head) -> None:
        self.heads.append(head.seq)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_EVERY", 0.01)


@pytest.fixture
def storage() -> FakeStorage:
    return FakeStorage()


def keeper(storage: FakeStorage, publisher: FakePublisher | None = None) -> JournalKeeper:
    return JournalKeeper(storage, "mine", publisher)


async def test_the_outbox_is_emptied_and_the_publisher_hears_of_it(storage: FakeStorage) -> None:
    storage.outbox = BATCH * 2 + 5
    publisher = FakePublisher()
    kept = keeper(storage, publisher)
    async with kept.running():
        await until(lambda: publisher.heads)
        assert (storage.outbox, storage.seq, kept.drained) == (0, BATCH * 2 + 5, BATCH * 2 + 5)
        assert publisher.heads[0] == storage.seq and kept.head and kept.head.seq == storage.seq
        storage.published = storage.seq
        told = len(publisher.heads)
        asked = storage.asked
        await until(lambda: storage.asked > asked + 5)
        assert len(publisher.heads) <= told + 1, "it has nothing to publish"


async def test_what_is_told_last_is_moved_at_the_end(storage: FakeStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_EVERY", 3600)
    async with keeper(storage).running():
        await until(lambda: storage.asked)
        storage.outbox = 3
    assert storage.seq == 3


@pytest.mark.parametrize("error", [DatabaseUnavailable("It is away."), ZeroDivisionError("a fault")])
async def test_trouble_ends_nothing(storage: FakeStorage, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    storage.outbox, storage.away = 3, error
    async with keeper(storage).running():
        await until(lambda: storage.asked > 5)
        storage.away = None
        await until(lambda: storage.seq == 3)
    if isinstance(error, DatabaseError):
        told = [record.message for record in caplog.records if "moved out" in record.message]
        assert told == ["Events are not moved out of the outbox", "Events are moved out of the outbox again"]
