"""Services of the stack: their parts, and restarting a service that ends although nobody stopped it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from promise_pub.errors import PartFailed
from promise_pub.local.parts import StackPart, start_part
from promise_pub.local.processes import STOP_GRACE, ProcessRecords
from promise_pub.local.state_folder import StateFolder
from promise_pub.retries import Backoff

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

# Between attempts in a row. A database that recovers, and a consumer that waits for a broker, take their time.
RESTART = Backoff(first=0.5, longest=30.0, within=60.0, jitter=0.0)
STEADY = 60.0  # seconds; a service that was up as long has all its attempts again

Report = Callable[[str], None]


class Service:
    """A service that runs for one state folder, where its data outlive it."""

    def __init__(self, folder: StateFolder, records: ProcessRecords) -> None:
        self._folder = folder
        self._records = records
        self._parts: list[StackPart] = []
        self._restart: Callable[[], Awaitable[object]] | None = None  # set by `start`
        self.version = ""

    @property
    def part(self) -> StackPart:
        """The process that the service ends with: the last one started."""
        return self._parts[-1]

    async def start_again(self) -> None:
        """Starts it at the same address, with the same data. Raises PartFailed, or OSError."""
        assert self._restart
        await self._restart()

    async def stop(self) -> None:
        await self._stop_parts()

    async def _start_part(
        self, name: str, arguments: Sequence[str | Path], environment: Mapping[str, str], cwd: Path, **options: Any
    ) -> StackPart:
        log = self._folder.path / f"{name.split()[-1].lower()}.log"
        part = await start_part(
            name, arguments, log=log, records=self._records, environment=environment, cwd=cwd, **options
        )
        self._parts.append(part)
        return part

    async def _stop_parts(self, grace: float = STOP_GRACE) -> None:
        while self._parts:
            await self._parts[-1].stop(grace)
            self._parts.pop()


async def keep_running(service: Service, backoff: Backoff = RESTART) -> None:
    """Restarts a service whenever it ends, and logs that. Raises PartFailed when it does not stay up."""
    loop = asyncio.get_running_loop()
    delays = backoff.delays()
    while True:
        since = loop.time()
        await service.part.process.wait()
        if loop.time() - since > STEADY:
            delays = backoff.delays()
        part, failure = service.part, service.part.failure()
        log.error("%s. Restarting it; the log until now is %s", part.describe_end(), part.previous_log)
        for delay in delays:
            await asyncio.sleep(delay)
            try:
                await service.start_again()
                break
            except PartFailed as error:
                failure = error
            except OSError as error:
                failure = PartFailed(f"{part.name} cannot be started: {error}")
            log.error("%s", failure.message)
        else:
            raise failure
        log.warning("%s runs again", part.name)
