"""A consumer that costs next to nothing: it declares the queue as consumers in the field do, and counts what is in it.

`python -m benchmarks.counting_consumer CONFIGURATION` prints where it listens and serves until it is told to stop.
`/process/` is answered at once; `checksum` is the messages in the queue, and of saving, which it does not, it says nothing. With `--purge` it purges the queue
every second and counts what went, so that millions of messages cost the broker no more than thousands. With `--read` it
reads the queue, and `/arrivals/` tells at which rate rows came. `--queue durable` declares it as the bundled one does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time
import uuid
from pathlib import Path
from statistics import linear_regression

from aiohttp import web

from benchmarks.figures import most_within
from benchmarks.queues import Kind, declare
from promise_pub.amqp.connection import connect
from promise_pub.consumer.broker import Broker
from promise_pub.settings import model
from promise_pub.settings.model import RabbitSettings

PURGE_EVERY = 1.0  # seconds
PURGE_TIMEOUT = 30.0  # seconds
STRETCH = 0.1  # seconds, in which a paced run must not burst


class CountingConsumer:
    """One queue, and one session at a time."""

    def __init__(self, rabbit: RabbitSettings, kind: Kind, *, read: bool, purge: bool) -> None:
        self._rabbit = rabbit
        self._kind = kind
        self._broker = Broker(rabbit)
        self._read = read
        self._purge = purge
        self._purged = 0
        self._purging: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._arrivals: list[float] = []
        self._reading = contextlib.AsyncExitStack()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthcheck/", self.ok)
        app.router.add_get("/create/", self.create)
        app.router.add_get("/process/", self.ok)
        app.router.add_get("/getSession/", self.session)
        app.router.add_get("/remove/", self.remove)
        app.router.add_get("/arrivals/", self.arrivals)
        return app

    async def ok(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def create(self, _: web.Request) -> web.Response:
        queue = str(uuid.uuid4())
        await declare(self._rabbit, queue, self._kind)
        if self._read:
            self._arrivals.clear()
            reading = self._broker.read(queue, self._arrived, _unconcerned)
            self._channel = await self._reading.enter_async_context(reading)
        if self._purge:
            self._purged = 0
            self._ending.clear()
            self._purging = asyncio.create_task(self._keep_short(queue))
        return web.json_response({"uuid": queue})

    async def _keep_short(self, queue: str) -> None:
        async with connect(self._rabbit) as connection:
            channel = await connection.channel(publisher_confirms=False)
            while not self._ending.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), PURGE_EVERY)
                answer = await channel.queue_purge(queue, timeout=PURGE_TIMEOUT)
                self._purged += answer.message_count or 0

    def _arrived(self, tag: int, message_id: str | None, again: bool, body: bytes) -> None:
        self._arrivals.append(time.perf_counter())
        if tag % 100 == 0:  # well before the prefetch is used up
            self._acking = asyncio.create_task(self._channel.ack(tag))

    async def session(self, request: web.Request) -> web.Response:
        return web.json_response(await self._counts(request.query["uuid"]))

    async def _counts(self, queue: str) -> dict[str, object]:
        count = len(self._arrivals) if self._read else self._purged + await self._broker.count_ready(queue)
        return {"uuid": queue, "checksum": count}

    async def remove(self, request: web.Request) -> web.Response:
        queue = request.query["uuid"]
        if self._read:
            await self._all_arrived(int(request.query["sent"]))
        if self._purging:
            self._ending.set()
            await self._purging
        counts = await self._counts(queue)
        await self._reading.aclose()
        await self._broker.delete(queue)
        return web.json_response(counts)

    async def _all_arrived(self, sent: int) -> None:
        async with asyncio.timeout(5):
            while True:
                if len(self._arrivals) >= sent:
                    return
                await asyncio.sleep(0.01)

    async def arrivals(self, _: web.Request) -> web.Response:
        """Rows a second by the slope of all arrivals: where the first and the last step begin does not matter."""
        moments = self._arrivals
        rate = linear_regression(moments, range(len(moments))).slope
        return web.json_response({"rate": rate, "most": most_within(moments, STRETCH)})


def _unconcerned() -> None:
    """The queue goes only when we delete it."""


async def serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    rabbit = model.load(options.configuration, {}).rabbit
    consumer = CountingConsumer(rabbit, options.queue, read=options.read, purge=options.purge)
    runner = web.AppRunner(consumer.app(), access_log=None, shutdown_timeout=1)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("configuration", type=Path)
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--purge", action="store_true")
    parser.add_argument("--queue", type=Kind, choices=[*Kind], default=Kind.TRANSIENT)
    asyncio.run(serve(parser.parse_args()))
