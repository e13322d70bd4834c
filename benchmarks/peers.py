"""The Python publishers as processes of their own; the C one, `librabbitmq_publisher.c`, is called the same way.

usage: BENCHMARK_PASSWORD=... python -m benchmarks.peers NAME HOST PORT USER VHOST QUEUE WINDOW BODIES

Publishes each line of the file BODIES, read beforehand, as one message with the properties of the contract, mandatory
and confirmed. Prints JSON: rows, seconds from the first publish to the last confirm, processor (seconds).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aio_pika
import pika  # type: ignore[import-untyped]

from promise_pub.delivery.broker.rabbit import open_publisher
from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.digest import RowDigest
from promise_pub.delivery.ports import Shipment
from promise_pub.records import Row
from promise_pub.settings.model import RabbitSettings

_RUN = UUID("00000000-0000-4000-8000-000000000000")
_BATCH = 2000  # rows handed to promise-pub's publisher at once, as its reader makes them


class Task(NamedTuple):
    """What to publish, where."""

    broker: RabbitSettings
    queue: str
    bodies: Sequence[bytes]


Result = dict[str, Any]


def pika_one_by_one(task: Task) -> Result:
    """pika's BlockingConnection: each publish waits for its confirm."""
    credentials = pika.PlainCredentials(task.broker.user, task.broker.password)
    where = pika.ConnectionParameters(task.broker.host, task.broker.port, task.broker.vhost, credentials)
    with pika.BlockingConnection(where) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        now = int(time.time())
        clock = _Clock()
        for number, body in enumerate(task.bodies, 1):
            channel.basic_publish("", task.queue, body, pika.BasicProperties(**_properties(number, now)), True)
        return clock.result(len(task.bodies))


async def aio_pika_awaited(task: Task) -> Result:
    """aio-pika as its documentation shows it: `await exchange.publish`."""

    async def publish(send: Callable[[int, bytes], Awaitable[Any]]) -> None:
        for number, body in enumerate(task.bodies, 1):
            await send(number, body)

    return await _with_aio_pika(task, publish)


async def aio_pika_in_flight(task: Task) -> Result:
    """aio-pika with as many publishes under way as the window says."""

    async def publish(send: Callable[[int, bytes], Awaitable[Any]]) -> None:
        numbered = iter(enumerate(task.bodies, 1))

        async def work() -> None:
            for number, body in numbered:
                await send(number, body)

        async with asyncio.TaskGroup() as group:
            for _ in range(task.broker.window):
                group.create_task(work())

    return await _with_aio_pika(task, publish)


async def _with_aio_pika(
    task: Task, publish: Callable[[Callable[[int, bytes], Awaitable[Any]]], Awaitable[None]]
) -> Result:
    connection = await aio_pika.connect(
        host=task.broker.host,
        port=task.broker.port,
        login=task.broker.user,
        password=task.broker.password,
        virtualhost=task.broker.vhost,
    )
    async with connection, connection.channel() as channel:
        exchange, now = channel.default_exchange, datetime.now(UTC)

        async def send(number: int, body: bytes) -> None:
            message = aio_pika.Message(body, **_properties(number, now))
            await exchange.publish(message, task.queue, mandatory=True)

        clock = _Clock()
        await publish(send)
        return clock.result(len(task.bodies))


async def promise_pub(task: Task) -> Result:
    """promise-pub's publisher alone: neither file nor ledger. Tells the latency of confirms as well."""
    people = [json.loads(body) for body in task.bodies]
    rows = [Row(number, each["name"], each["mail"]) for number, each in enumerate(people, 1)]
    shipment = Shipment(_RUN, datetime.now(UTC), ConfirmTracker(), RowDigest())
    async with open_publisher(task.broker, shipment) as publisher:
        publisher.route_to(task.queue)
        clock = _Clock()
        for start in range(0, len(rows), _BATCH):
            await publisher.publish(rows[start : start + _BATCH])
        await publisher.settle()
        result = clock.result(publisher.tracker.confirmed)
        latency = publisher.tracker.latency.summary()
        return result | {"confirm_ms": asdict(latency) if latency else None}


def _properties(number: int, now: Any) -> dict[str, Any]:
    """The contract's, by the names pika and aio-pika share."""
    return {
        "content_type": "application/json",
        "delivery_mode": 2,
        "message_id": f"{_RUN}:{number}",
        "app_id": "promise-pub",
        "timestamp": now,
    }


class _Clock:
    def __init__(self) -> None:
        self._started, self._busy = time.perf_counter(), time.process_time()

    def result(self, rows: int) -> Result:
        seconds = time.perf_counter() - self._started
        return {"rows": rows, "seconds": seconds, "processor": time.process_time() - self._busy}


PEERS: dict[str, Callable[[Task], Result | Awaitable[Result]]] = {
    "pika": pika_one_by_one,
    "aio-pika-awaited": aio_pika_awaited,
    "aio-pika-in-flight": aio_pika_in_flight,
    "promise-pub": promise_pub,
}


def main(name: str, host: str, port: str, user: str, vhost: str, *rest: str) -> None:
    queue, window, bodies = rest
    broker = RabbitSettings(
        host=host,
        port=int(port),
        user=user,
        password=os.environ["BENCHMARK_PASSWORD"],
        vhost=vhost,
        window=int(window),
    )
    result = PEERS[name](Task(broker, queue, Path(bodies).read_bytes().splitlines()))
    print(json.dumps(result if isinstance(result, dict) else asyncio.run(_awaited(result))))


async def _awaited(result: Awaitable[Result]) -> Result:
    return await result


if __name__ == "__main__":
    main(*sys.argv[1:])
