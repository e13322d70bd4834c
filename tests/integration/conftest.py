"""Fixtures of the tests of the local stack, and of those of commands that need a database alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from promise_pub.local.bundled_consumer import BundledConsumer
from promise_pub.settings.model import DatabaseSettings
from tests import services
from tests.command_parts import Command, Here, configured, run
from tests.integration import stacks


@pytest.fixture
def stand_in_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one has tests of its own; where this is used, only its life matters."""
    monkeypatch.setattr(BundledConsumer.__init__, "__defaults__", ((sys.executable, "-c", stacks.CONSUMER),))


@pytest.fixture
def state(services_folder: Path) -> Iterator[Path]:
    """A folder for a stack, deep and named unkindly: sockets and scripts have to cope."""
    parent = Path(tempfile.mkdtemp(dir=services_folder))
    yield parent / ("a folder, with spaces " + "long " * 15 + "name") / ".local"
    shutil.rmtree(parent)


@pytest.fixture
def session_folder(services_folder: Path) -> Path:
    """The folder that every part works in that these tests start."""
    return services_folder.parent


@pytest.fixture
def nothing_left(session_folder: Path) -> Iterator[None]:
    """Fails a test after which a part of a stack runs that did not run before."""
    before = services.running(session_folder)
    yield
    left = [process for pid, process in services.running(session_folder).items() if pid not in before]
    _, left = psutil.wait_procs(left, timeout=20)
    assert not [services.describe(process) for process in left if services.alive(process)]


@pytest.fixture
def configuration(database: DatabaseSettings, tmp_path: Path) -> Path:
    return configured(tmp_path / "test.ini", database)


@pytest.fixture
def here(configuration: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(configuration, capsys)


@pytest.fixture
def command(configuration: Path) -> Command:
    return partial(run, configuration)
