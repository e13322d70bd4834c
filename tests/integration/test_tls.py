"""TLS to the broker and the database: what they show is checked before anything is told to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub import db
from promise_pub.amqp.connection import probe
from promise_pub.errors import BrokerUnreachable, DatabaseUnavailable, PromisePubError
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests.tls import Certificate, make_certificate, tls_before

Connect = Callable[[int, bool, Path | None], Awaitable[None]]


@pytest.fixture(params=["broker", "database"])
def service(request: pytest.FixtureRequest) -> tuple[str, int, bool, Connect]:
    """Where it is, whether it is PostgreSQL, and how to connect to it at a port with an authority."""
    if request.param == "broker":
        plain: RabbitSettings = request.getfixturevalue("rabbit")

        async def to_broker(port: int, tls: bool, authority: Path | None) -> None:
            await probe(replace(plain, host="127.0.0.1", port=port, ssl=tls, ca_certificate=authority))

        return plain.host, plain.port, False, to_broker
    there: DatabaseSettings = request.getfixturevalue("database")

    async def to_database(port: int, tls: bool, authority: Path | None) -> None:
        settings = replace(there, host="127.0.0.1", port=port, ssl=tls, ca_certificate=authority)
        async with db.open_pool(settings, max_size=1) as pool:
            assert await pool.fetchval("SELECT 1") == 1

    return there.host, there.port, True, to_database


@pytest.fixture
def ours(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "IP:127.0.0.1")


async def test_a_service_whose_certificate_is_trusted_is_talked_to(
    service: tuple[str, int, bool, Connect], ours: Certificate
) -> None:
    host, port, postgresql, connect = service
    async with tls_before(host, port, ours, postgresql=postgresql) as proxy:
        await connect(proxy.port, True, ours.file)
        assert proxy.encrypted > 0


async def test_a_service_that_anybody_could_be_is_told_nothing(
    service: tuple[str, int, bool, Connect], ours: Certificate, tmp_path: Path
) -> None:
    host, port, postgresql, connect = service
    others = make_certificate(tmp_path, "DNS:other.example")
    for shown, trusted in ((ours, None), (ours, others.file), (others, others.file)):
        async with tls_before(host, port, shown, postgresql=postgresql) as proxy:
            with pytest.raises(PromisePubError, match="(?i)certificate") as caught:
                await connect(proxy.port, True, trusted)
            assert isinstance(caught.value, BrokerUnreachable | DatabaseUnavailable)
            assert proxy.encrypted == 0
