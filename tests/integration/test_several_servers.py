"""Several servers on one database: one turn, whichever consumer each of them talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.web_parts import ServerUnderTest, people, serving, settings, until

JSON = {"Accept": "application/json"}
ASYNC = JSON | {"Prefer": "respond-async", "Content-Type": "text/csv"}


@pytest.fixture(params=["the same consumer, spelled differently", "a consumer of its own"])
async def two(
    request: pytest.FixtureRequest,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
) -> AsyncIterator[list[Settings]]:
    async with AsyncExitStack() as stack:
        consumers = [
            await stack.enter_async_context(consumer_parts.bundled(rabbit, database))
            for _ in range(1 if "same" in request.param else 2)
        ]
        first = settings(rabbit, database, consumers[0], tmp_path / "first")
        second = settings(rabbit, database, consumers[-1], tmp_path / "second")
        yield [first, replace(second, consumer=replace(second.consumer, host="localhost"))]


async def state(server: ServerUnderTest, path: str) -> str:
    return str((await server.get(path, headers=JSON)).json["state"])


async def begun(server: ServerUnderTest, query: str, content: bytes) -> str:
    answer = await server.ask("POST", f"/simulate/?{query}", data=content, headers=ASYNC)
    return str(answer.headers["Location"])


async def test_a_run_that_clears_waits_for_the_run_of_another_server(two: list[Settings]) -> None:
    for one in two:
        one.server.uploads.parent.mkdir()
    async with serving(two[0]) as first, serving(two[1]) as second:
        slow = await begun(first, "mode=live&timeout=1&rate=400", people(1200))
        await until(lambda: _is(first, slow, "publishing"))
        other = await begun(second, "mode=batch&timeout=0&clear=true", b"Ann,ann@elsewhere\n")
        while await state(first, slow) == "publishing":
            # Asked after: had the other begun meanwhile, it would be seen.
            assert await state(second, other) == "queued" or await state(first, slow) != "publishing"
        runs = []
        for server, path in ((first, slow), (second, other)):
            await until(lambda server=server, path=path: _is(server, path, "completed"))
            runs.append((await server.get(path, headers=JSON)).json)
    assert [(run["verdict"], run["db_count"]) for run in runs] == [("kept", 1200), ("kept", 1)]


async def _is(server: ServerUnderTest, path: str, wanted: str) -> bool:
    return await state(server, path) == wanted
