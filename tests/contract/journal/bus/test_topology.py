"""Faults of exchange and queue: told in words of the configuration, and over once somebody mends them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promise_pub.errors import BrokerRefused
from promise_pub.features.journal.bus.topology import declare_bus
from promise_pub.features.journal.settings import BusSettings
from promise_pub.settings.model import RabbitSettings
from tests.contract.journal.bus.conftest import BusUnderTest, message
from tests.contract.journal.bus.test_taking import make_taker, taking
from tests.fakes import until
from tests.journal.fake_journal import FakeJournal
from tests.services import BrokerUnderTest


async def fault(rabbit: RabbitSettings, bus: BusSettings) -> str:
    with pytest.raises(BrokerRefused) as caught:
        await declare_bus(rabbit, bus)
    return caught.value.message


async def test_what_is_declared_may_be_declared_again_and_is_found_without(
    rabbit: RabbitSettings, bus: BusUnderTest
) -> None:
    for _ in range(2):
        await declare_bus(rabbit, replace(bus.settings, bindings="a.# b.*"))
    await declare_bus(rabbit, replace(bus.settings, declare=False))
    await bus.publish(("a.b.c", message()), ("b.c", message()), ("b.c.d", message()), ("c", message()))
    assert await bus.count_ready() == 2


async def test_what_is_missing_is_named(rabbit: RabbitSettings, bus: BusUnderTest) -> None:
    found = replace(bus.settings, declare=False)
    assert await fault(rabbit, found) == (
        f"[bus] exchange = {found.exchange} does not exist: declare it, or set [bus] declare = yes: "
        f"NOT_FOUND - no exchange '{found.exchange}' in vhost '/'"
    )
    await bus.exchange()
    assert f"[bus] queue = {found.queue} does not exist" in await fault(rabbit, found)


async def test_an_exchange_of_another_type_is_named(rabbit: RabbitSettings, bus: BusUnderTest) -> None:
    await bus.channel.declare_exchange(bus.settings.exchange, "direct", durable=True)
    words = await fault(rabbit, bus.settings)
    assert f"[bus] exchange = {bus.settings.exchange} exists and is another" in words
    assert "received 'topic' but current is 'direct'" in words


async def test_a_queue_with_other_arguments_is_named(rabbit: RabbitSettings, bus: BusUnderTest) -> None:
    await bus.channel.declare_queue(bus.settings.queue, durable=True, arguments={"x-expires": 60_000})
    words = await fault(rabbit, bus.settings)
    assert f"[bus] queue = {bus.settings.queue} exists and is another" in words and "inequivalent arg" in words


async def test_names_that_are_too_long_are_named(rabbit: RabbitSettings, bus: BusUnderTest) -> None:
    for option in ("exchange", "queue", "bindings"):
        changed: dict[str, Any] = {option: "x" * 256}
        assert f"[bus] {option} = xxx" in await fault(rabbit, replace(bus.settings, **changed))


async def test_a_vhost_that_does_not_exist_is_named(rabbit: RabbitSettings, bus: BusUnderTest) -> None:
    assert "on vhost nowhere" in await fault(replace(rabbit, vhost="nowhere"), bus.settings)


async def test_a_user_who_may_not_declare_is_told_what_to_set(
    broker_node: BrokerUnderTest, rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal
) -> None:
    user = await broker_node.add_user()
    await broker_node.control(
        f'rabbit_auth_backend_internal:set_permissions(<<"{user.user}">>, <<"/">>, <<"^$">>, <<"^$">>, <<".*">>, <<"tests">>).'
    )
    words = await fault(user, bus.settings)
    assert f"cannot be declared by user {user.user}" in words and "set [bus] declare = no" in words
    await declare_bus(rabbit, bus.settings)
    bus.settings = replace(bus.settings, declare=False)
    async with taking(user, bus, journal):
        await bus.publish(("a", message()))
        await until(lambda: journal.events)


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons given for which the bus cannot be read."""
    return [vars(one)["fields"]["why"] for one in caplog.records if one.message == "The bus cannot be read"]


async def test_a_fault_is_told_once_and_mended_by_somebody_else(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    other = await bus.channel.declare_exchange(bus.settings.exchange, "direct", durable=True)
    async with make_taker(rabbit, bus, journal).running():
        await until(lambda: reasons(caplog))
        await bus.channel.exchange_delete(other.name)
        await bus.until_read()
        await bus.publish(("a", message()))
        await until(lambda: journal.events)
    assert len(reasons(caplog)) == 1


async def test_a_queue_that_is_deleted_is_declared_again(
    rabbit: RabbitSettings, bus: BusUnderTest, journal: FakeJournal, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(rabbit, bus, journal):
        await bus.channel.queue_delete(bus.settings.queue)
        await until(lambda: reasons(caplog))
        await bus.until_read()
        await bus.publish(("a", message()))
        await until(lambda: journal.events)
    assert reasons(caplog) == [f"The queue {bus.settings.queue} was deleted"]
