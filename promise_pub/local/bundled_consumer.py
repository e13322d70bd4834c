"""The bundled consumer as a service of the stack: its own process, configured by a file."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from promise_pub.local.processes import ProcessRecords
from promise_pub.local.service import LOOPBACK, Report, Service
from promise_pub.local.state_folder import StateFolder
from promise_pub.settings import inifile
from promise_pub.settings.model import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, ConsumerSettings, Settings

COMMAND = (sys.executable, "-m", "promise_pub", "consumer")
_TOKEN_BYTES = 32
READY_TIMEOUT = 30.0  # seconds; one on an ordinary machine
_READY_LINE = re.compile(rb"listening on http://[^\s/]*:(\d+)")


class BundledConsumer(Service):
    """One consumer process, on a free port."""

    def __init__(self, folder: StateFolder, records: ProcessRecords, command: Sequence[str] = COMMAND) -> None:
        super().__init__(folder, records)
        self._command = command
        self._file = folder.path / "consumer.ini"

    async def start(self, settings: Settings, report: Report) -> ConsumerSettings:
        """Starts it with the broker and the database of `settings`, and returns its address.

        It takes calls with its token only, which is a new one unless the settings have one: other users of the machine
        reach its port.
        """
        report("starting the bundled consumer")
        token = settings.consumer.token or secrets.token_urlsafe(_TOKEN_BYTES)
        consumer = replace(settings.consumer, host=LOOPBACK, port=0, token=token)
        consumer = replace(consumer, port=await self._serve(replace(settings, consumer=consumer)))
        self._restart = partial(self._serve, replace(settings, consumer=consumer))
        return consumer

    async def _serve(self, settings: Settings) -> int:
        """Starts it, in place of one that ended, and returns its port. Its sessions do not survive that."""
        await self._stop_parts()
        inifile.write(self._file, settings)
        # The file sets every option, so that no variable has to, and passwords stay out of `ps e`.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
        environment = {**inherited, CONFIG_VARIABLE: str(self._file)}
        part = await self._start_part("bundled consumer", self._command, environment, self._folder.path, piped=True)
        return int((await part.wait_for_line(_READY_LINE, READY_TIMEOUT))[1])

    async def stop(self) -> None:
        await self._stop_parts()
        self._file.unlink(missing_ok=True)
