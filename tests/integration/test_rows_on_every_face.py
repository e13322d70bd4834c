"""One broken run: page, CSV, JSON, commands and JUnit name the same lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts
from tests.services import StartCommand
from tests.web_parts import ServerUnderTest, serving, settings

LOST = ["1", "3", "6"]
"""Lines of the rows that the consumer receives and loses: the first three."""
FILE = b'Ann,ann@x\n\n"Two\nlines",two@x\nno comma here\nCid,cid@x\nDan,dan@x\nEve,dan@x\n'


class Place:
    """A server, its configuration as a file, and commands."""

    def __init__(self, server: ServerUnderTest, configuration: Path, start: StartCommand) -> None:
        self.server = server
        self.configuration = configuration
        self._start = start

    async def command(self, *arguments: str | Path, code: int = 0) -> str:
        """What it prints."""
        command = await self._start(*arguments, "-q", "-c", self.configuration)
        assert await command.finish() == code, command.output
        return command.output


@pytest.fixture
async def place(
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    tmp_path: Path,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
) -> AsyncIterator[Place]:
    async with consumer_parts.field(rabbit, database, "--lose", str(len(LOST))) as consumer:
        chosen = settings(rabbit, database, consumer, tmp_path)
        async with serving(chosen) as server:
            yield Place(server, settings_file(chosen), start_process)


async def test_every_face_names_the_same_lines(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(FILE)
    url = ("--server", str(place.server.url))
    report = tmp_path / "report.xml"
    arguments = ("--mode", "batch", "--timeout", "1", "--clear", "--junit", report)
    sent = await place.command("send", "data.csv", *arguments, *url, code=3)
    (run,) = (await place.server.get("/runs?format=json")).json
    path = f"/runs/{run['id']}"
    assert run["fates"] == {"rejected": 1, "repeat": 1, "unsaved": 3, "saved": 1}

    told = (await place.server.get(f"{path}/rows?fate=unsaved&format=json")).json
    assert [str(row["line"]) for row in told] == LOST
    assert [row["content"] for row in told] == ["Ann,ann@x", '"Two\nlines",two@x', "Cid,cid@x"]
    table = (await place.server.get(f"{path}/rows?fate=unsaved&format=csv")).text
    assert [row["line"] for row in csv.DictReader(io.StringIO(table))] == LOST

    for page in (path, f"{path}/rows?fate=attention"):
        text = (await place.server.get(page)).text
        cells = re.findall(r'<tr id="line-(\d+)">.*?<span class="badge (\w+)"', text, re.DOTALL)
        assert sorted(line for line, tone in cells if tone == "lost") == LOST, page

    for said in (sent, await place.command("runs", run["id"])):
        assert "rows that need you: 4" in said
        named = re.findall(r"^  line +(\d+)  row +\S+  (not saved|rejected)", said, re.MULTILINE)
        assert named == [*((line, "not saved") for line in LOST), ("5", "rejected")]

    whole = await place.command("runs", run["id"], "--rows", "--fate", "unsaved", "--format", "csv", *url)
    assert whole == table
    as_json = await place.command("runs", run["id"], "--rows", "--fate", "unsaved", "--format", "json", *url)
    assert json.loads(as_json) == told

    (suite,) = JUnitXml.fromfile(str(report))
    failures = {case.name: one.text for case in suite for one in case.result if isinstance(one, Failure)}
    assert failures
    for text in failures.values():
        assert re.findall(r"^line (\d+)", text, re.MULTILINE) == LOST


async def test_a_swept_file_leaves_lines_and_fates_to_the_commands(place: Place, tmp_path: Path) -> None:
    run = (await place.server.send(FILE, "?mode=batch&timeout=1")).json
    (place.server.uploads / f"{run['id']}.csv").unlink()
    said = await place.command("runs", run["id"])
    assert re.findall(r"^  line +(\d+) .*no longer kept$", said, re.MULTILINE) == LOST
    url = ("--server", str(place.server.url))
    refused = await place.command("runs", run["id"], "--rows", "--text", "ann", *url, code=1)
    assert "cannot be searched" in refused and "(rows_lost)" in refused
