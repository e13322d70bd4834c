"""Promises that are not kept, as CI meets them: exit code 3 and a JUnit report that is not green."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from yarl import URL

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.consumer_parts import ROOT, ConsumerUnderTest
from tests.services import StartCommand
from tests.web_parts import people, settings

CAPITALS = b"Name,Mail\nAnn,ann@x.test\nBob,bob@x.test\n"
Send = Callable[..., Awaitable[tuple[int, dict[str, Any], int, int]]]
LONG = people(3) + b"Long," + b"x" * 128 + b"\n"


@pytest.fixture
def send(
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
) -> Send:
    """Sends a file to `python main.py` with this consumer: exit code, the run, and failures and errors in its report."""

    async def send(consumer: ConsumerUnderTest, content: bytes, *options: str) -> tuple[int, dict[str, Any], int, int]:
        chosen = settings(rabbit, database, consumer, tmp_path)
        server = await start_process("-c", settings_file(chosen), program=(ROOT / "main.py",))
        url = URL((await server.wait_for(r"on (http://127\.0\.0\.1:\d+)$")).group(1))
        (tmp_path / "data.csv").write_bytes(content)
        to = ("--server", str(url), "--mode", "batch", "--timeout", "0", "--clear")
        shown = ("-q", "--format", "json", "--junit", "report.xml")
        command = await start_process("send", "data.csv", *to, *shown, *options)
        code = await command.finish()
        (suite,) = JUnitXml.fromstring((tmp_path / "report.xml").read_bytes())
        assert await server.stop() == 0
        return code, json.loads(command.output), suite.failures, suite.errors

    return send


@pytest.mark.parametrize(
    ("content", "header", "unusable", "hint"),
    [
        (CAPITALS, True, 2, "'Name' is not 'name' and 'Mail' is not 'mail'"),
        (b"name, mail\nAnn,ann@x.test\n", True, 1, "' mail' is not 'mail'"),
        (LONG, False, 1, ""),
    ],
    ids=["capitals", "a blank", "too long"],
)
async def test_rows_that_the_consumer_cannot_use_are_no_success(
    send: Send,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    content: bytes,
    header: bool,
    unusable: int,
    hint: str,
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer:
        code, run, failures, errors = await send(consumer, content, *["--header"] * header)
    (said,) = run["explanation"]
    assert (code, run["verdict"], run["session"]["invalid"]) == (3, "broken", unusable)
    assert "of no use to the consumer" in said and said.endswith(hint)
    assert (failures, errors) == (2, 0)  # of the promise, and of the rows that are not saved


async def test_rows_too_long_for_employees_are_none_with_a_consumer_that_tells_less(
    send: Send, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with consumer_parts.field(rabbit, database) as double:
        code, run, failures, _ = await send(double, LONG)
    assert (code, run["verdict"], failures) == (3, "broken", 2)
    assert "1 row: longer than the 127 characters that employees holds" in run["explanation"]


async def test_rows_that_are_in_no_table_are_none(
    send: Send, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    async with consumer_parts.field(rabbit, database, "--lose", "30", "--lie-saved") as double:
        code, run, failures, _ = await send(double, people(30))
    assert (code, run["verdict"], failures) == (3, "unknown", 1)
    assert "employees did not grow" in run["explanation"][0]
