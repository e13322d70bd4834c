"""The bundled consumer as a part of the local stack: its own process, told everything by a file."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from promise_pub.errors import PartFailed
from promise_pub.local import inifile
from promise_pub.local.processes import Part, Records, spawn
from promise_pub.settings.model import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, ConsumerSettings, Settings

COMMAND = (sys.executable, "-m", "promise_pub", "consumer")
READY_TIMEOUT = 30.0  # seconds; one on an ordinary machine
_LOOPBACK = "127.0.0.1"
_READY_LINE = re.compile(rb"listening on http://[^\s/]*:(\d+)")


class BundledConsumer:
    """One consumer process, on a free port."""

    def __init__(self, state: Path, records: Records, command: Sequence[str] = COMMAND) -> None:
        self._state = state
        self._records = records
        self._command = command
        self._part: Part | None = None
        self._settings: Settings | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, settings: Settings, report: Callable[[str], None]) -> ConsumerSettings:
        """The consumer's settings with its real port. `settings` tell it the broker and the database."""
        report("starting the bundled consumer")
        consumer = replace(settings.consumer, host=_LOOPBACK, port=0)
        port = await self._start(replace(settings, consumer=consumer))
        self._settings = replace(settings, consumer=replace(consumer, port=port))
        return self._settings.consumer

    @property
    def part(self) -> Part:
        assert self._part
        return self._part

    async def start_again(self) -> None:
        """On the same port; its sessions are gone. Raises PartFailed."""
        assert self._settings
        await self._end()
        await self._start(self._settings)

    async def _start(self, settings: Settings) -> int:
        inifile.write(self._file, settings)
        self._part = await spawn(
            "bundled consumer",
            self._command,
            log=self._state / "consumer.log",
            records=self._records,
            environment=self._environment(),
            cwd=self._state,
            piped=True,
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                return await self._port(self._part)
        except TimeoutError:
            raise self._part.failure() from None

    async def _end(self) -> None:
        if self._part:
            await self._part.stop()
        if self._reading:
            await self._reading

    async def stop(self) -> None:
        await self._end()
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._state / "consumer.ini"

    def _environment(self) -> dict[str, str]:
        """Ours, but for what would set an option: the file holds them all, and its passwords stay out of `ps e`."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
        return {**inherited, CONFIG_VARIABLE: str(self._file)}

    async def _port(self, part: Part) -> int:
        """The port it prints once it listens. What it prints after that is read and dropped, so that it never blocks."""
        output = part.process.stdout
        if output is None:
            raise PartFailed("The bundled consumer has no output to read its port from.")
        while line := await output.readline():
            if found := _READY_LINE.search(line):
                self._reading = asyncio.create_task(_drain(output))
                return int(found[1])
        await part.process.wait()
        raise part.failure()


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        continue
