"""Whoever reads a queue in the tests looks at its messages: at all of them, and says which is not as described."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.consumer_parts import ConsumerUnderTest, publish
from tests.described_messages import inspected
from tests.web_parts import people, serving, settings

Open = Callable[[RabbitSettings, DatabaseSettings], AbstractAsyncContextManager[ConsumerUnderTest]]


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_every_message_of_a_run_is_looked_at(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, mode: str
) -> None:
    with inspected() as inspector:
        async with (
            consumer_parts.bundled(rabbit, database) as consumer,
            serving(settings(rabbit, database, consumer, tmp_path)) as server,
        ):
            content = people(1500) + b"x" * 20 + b",big@example.com\n"
            run = (await server.send(content, f"?timeout=0&mode={mode}")).json
    assert run["verdict"] == "kept" and len(inspector.ids) == 1501


@pytest.mark.parametrize("opened", [consumer_parts.bundled, consumer_parts.field])
async def test_a_message_that_is_not_as_described_is_told(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    opened: Open,
) -> None:
    monkeypatch.setattr(consumer_parts, "OF_THE_TESTS", "promise-pub")  # without a content_type
    with pytest.raises(AssertionError, match="run:1"):
        async with opened(rabbit, database) as consumer:
            session = await consumer.create()
            await publish(rabbit, session, consumer_parts.people(1))
            await consumer.process(session, "batch", 0)
