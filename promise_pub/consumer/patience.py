"""The bundled consumer's patience with a broker or a database that is away."""

from __future__ import annotations

from promise_pub.retries import Patience

LIMIT = 900.0  # seconds; a quarter of an hour outlasts a restart or a failover, and stays under the half hour after which RabbitMQ closes a channel that does not ack
FIRST = 0.05  # seconds; most losses are over at once
LONGEST = 5.0  # seconds; bounds how late the recovery is noticed


def outage_patience() -> Patience:
    return Patience(LIMIT, FIRST, LONGEST)
