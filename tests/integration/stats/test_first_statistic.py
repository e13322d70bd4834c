"""The five minutes of docs/statistics.md: its very files become a wheel, are installed, and their statistic is counted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts, documents
from tests.consumer_parts import ROOT
from tests.services import StartCommand
from tests.web_parts import ServerUnderTest, client, people, settings, until

PAGE = ROOT / "docs" / "statistics.md"
INSTALL = ".venv/bin/pip install ./runs-by-branch"
# Nothing comes from elsewhere: what builds it is there.
_OFFLINE = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "-q")


def _file(language: str) -> str:
    return next(block.text for block in documents.blocks(PAGE) if block.language == language)


async def _install(folder: Path, target: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "install", *_OFFLINE, "--target", str(target), str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, output.decode()


@pytest.fixture
async def installed(tmp_path: Path) -> Path:
    """A folder with the package of the page, as pip installs it."""
    folder, target = tmp_path / "runs-by-branch", tmp_path / "installed"
    folder.mkdir()
    (folder / "by_branch.py").write_text(_file("python"))
    (folder / "pyproject.toml").write_text(_file("toml"))
    assert INSTALL in [command.text for command in documents.commands(PAGE)]
    await _install(folder, target)
    return target


async def test_the_first_statistic_is_counted_and_has_its_chart(
    installed: Path,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    tmp_path: Path,
) -> None:
    async with consumer_parts.bundled(rabbit, database) as consumer, client() as http:
        chosen = settings(rabbit, database, consumer, tmp_path)
        # Runs that ended before the statistic was there are counted, too.
        for environment in ({}, {"PYTHONPATH": str(installed)}):
            command = await start_process("-c", settings_file(chosen), program=(ROOT / "main.py",), env=environment)
            url = (await command.wait_for(r"on (http://127\.0\.0\.1:\d+)$")).group(1)
            server = ServerUnderTest(url, http, chosen.server.uploads)
            for name in ("main-20.csv", "feature-20.csv"):
                path = f"/simulate/?mode=batch&timeout=0&clear=true&filename={name}"
                run = await server.ask("POST", path, data=people(3), headers={"Content-Type": "text/csv"})
                assert run.status == 200, run.text
            if environment:
                await until(lambda server=server: _has_counted(server))
                picture = await server.get("/stats/runs-by-branch?format=svg&interval=1h")
                assert picture.status == 200 and "<svg" in picture.text and "feature" in picture.text
                page = await server.get("/stats/runs-by-branch", headers={"Accept": "text/html"})
                assert "Runs that ended, by the branch that their file is named after." in page.text
            assert await command.stop() == 0


async def _has_counted(server: ServerUnderTest) -> bool:
    answer = await server.get("/stats/runs-by-branch?format=json&interval=1d&since=2d")
    if answer.status != 200:
        return False
    counts = {(row["key"]["branch"], row["key"]["verdict"]): row["count"] for row in answer.json["rows"]}
    return counts == {("main", "kept"): 2, ("feature", "kept"): 2}
