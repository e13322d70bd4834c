"""Consumers whose lists of rows overlap, lie, or have no end: nothing is shown that their own counts contradict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.consumer_parts import bundled
from tests.fates_parts import Format, Listed, file_of, listed, people_of, sent
from tests.integration.test_misleading_consumers import behind
from tests.web_parts import serving, settings

ROWS = 50
FILE = file_of(Format(), people_of(Format(), ROWS))
REJECTED = len(FILE.records) - ROWS


def saying(**told: Any) -> Callable[[str, str], web.Response]:
    """Its answers with these values in their place."""

    def change(path: str, text: str) -> web.Response:
        if not text.startswith("{"):
            return web.Response(text=text)
        return web.json_response({**json.loads(text), **told})

    return change


async def fates_of(
    rabbit: RabbitSettings, database: DatabaseSettings, folder: Path, change: Callable[[str, str], web.Response]
) -> Listed:
    async with bundled(rabbit, database) as consumer, behind(consumer, change) as liar:
        async with serving(settings(rabbit, database, liar, folder)) as server:
            return await listed(server, await sent(server, FILE), FILE)


@pytest.mark.parametrize(
    "told",
    [
        {"rows": "1-30,20-50"},
        {"rows": "1-1000000000000"},
        {"rows": ["1-50"], "duplicate_rows": 7, "invalid_rows": {}},
        {"rows": "1-50", "duplicate_rows": "1-50", "invalid_rows": "1-50"},
        {"duplicate_rows": "1-5"},
        {"invalid_rows": "3"},
        {"duplicate_rows": "60-70", "invalid_rows": "99"},
        {"rows": ",".join(str(n) for n in range(1, 60_000, 2))},
        {"rows": "5-1", "duplicate_rows": "1-", "invalid_rows": "x" * 100_000},
        {"rows": "9" * 500_000},
    ],
    ids=lambda told: json.dumps(told)[:60],
)
async def test_lists_that_cannot_be_true_change_nothing(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path, told: dict[str, Any]
) -> None:
    """Where the digests are equal, or the counts are whole."""
    found = await fates_of(rabbit, database, tmp_path, saying(**told))
    assert found.fates == {"saved": ROWS, "rejected": REJECTED} and found.run["verdict"] == "kept"


async def test_rows_that_a_consumer_leaves_out_of_its_list_are_missing_as_it_says(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    """By its own word: its digest, its counts and its list agree."""
    change = saying(rows="1-40,44-50", checksum=47, saved=47, digest="0" * 32)
    found = await fates_of(rabbit, database, tmp_path, change)
    assert found.lines("missing") == [FILE.rows[number - 1].line for number in (41, 42, 43)]
    assert found.run["verdict"] == "broken"


async def test_a_consumer_that_received_something_else_proves_nothing(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    found = await fates_of(rabbit, database, tmp_path, saying(digest="0" * 32))
    assert found.fates == {"unknown": ROWS, "rejected": REJECTED}
    assert found.reasons("unknown") == {"what the consumer received differs from what was published"}


async def test_more_unusable_rows_than_it_names_are_not_guessed(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    change = saying(saved=48, invalid=2, invalid_rows="7", duplicate_rows="")
    found = await fates_of(rabbit, database, tmp_path, change)
    assert found.fates.get("unusable", 0) == 0 and found.run["verdict"] == "broken"


async def test_a_list_of_ten_megabytes_is_no_answer(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    found = await fates_of(rabbit, database, tmp_path, saying(rows="1-50" + "," * 10_000_000))
    assert (found.run["state"], found.run["error"]["code"]) == ("failed", "consumer_garbage")
    assert set(found.fates) <= {"rejected", "unpublished", "unknown"}
