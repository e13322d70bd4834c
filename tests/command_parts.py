"""Commands for tests, as processes and in this one, with what they said on each of their streams."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from promise_pub import cli
from promise_pub.settings import inifile
from promise_pub.settings.model import (
    ConsumerSettings,
    DatabaseSettings,
    RabbitSettings,
    ServerSettings,
    Settings,
)

PATIENCE = 60.0  # seconds for a process; others may be at work


class Said(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Said]]
"""Runs one as a process, with a configuration that is at hand."""


def configured(path: Path, database: DatabaseSettings, **features: object) -> Path:
    """A configuration for commands that need no more than a database; `features` are sections of theirs."""
    rabbit, consumer = RabbitSettings(host="127.0.0.1"), ConsumerSettings(host="127.0.0.1", port=1)
    settings = Settings(server=ServerSettings(), rabbit=rabbit, consumer=consumer, database=database, features=features)
    inifile.write(path, settings)
    return path


async def run(configuration: Path, *arguments: str | Path) -> Said:
    """A process of its own, away from the configuration of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROMISE_PUB_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "promise_pub", "-c", configuration, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=configuration.parent,
        env={**inherited, "XDG_CONFIG_HOME": str(configuration.parent)},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


@dataclass(frozen=True)
class Here:
    """Runs commands in this process, where there are many: each new one takes a second. Not while a loop runs."""

    configuration: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path) -> Said:
        try:
            code = cli.main(["-c", str(self.configuration), *map(str, arguments)])
        except SystemExit as end:  # argparse's own
            code = int(end.code or 0)
        return Said(code, *self.capsys.readouterr())


def table(out: str) -> list[list[str]]:
    """CSV that was printed."""
    return list(csv.reader(io.StringIO(out, newline="")))
