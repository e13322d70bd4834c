"""Parts that end although nobody stopped them: started again where they were, as long as that is of use."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from promise_pub.errors import PartFailed
from promise_pub.local.processes import Part
from promise_pub.retries import Backoff

log = logging.getLogger(__name__)

# Before tries in a row. A database that recovers, and a consumer that waits for a broker, take their time.
RESTART = Backoff(first=0.5, longest=30.0, within=60.0, jitter=0.0)
STEADY = 60.0  # seconds that a part stays up before its next end is not one in a row


class Service(Protocol):
    """What the stack started."""

    @property
    def part(self) -> Part:
        """Its process, without which it is not there."""

    async def start_again(self) -> None:
        """At the same address, with the same data. Raises PartFailed, or OSError."""


async def keep_up(service: Service, backoff: Backoff = RESTART) -> None:
    """Starts it again whenever it ends, and says so. Raises PartFailed when it does not stay up."""
    loop = asyncio.get_running_loop()
    delays = backoff.delays()
    while True:
        since = loop.time()
        await service.part.process.wait()
        if loop.time() - since > STEADY:
            delays = backoff.delays()
        part, failure = service.part, service.part.failure()
        log.error("%s: it is started again; its log is %s now", part.end(), part.log_of_before)
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
