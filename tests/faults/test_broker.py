"""What a broker does: queues deleted and purged, alarms, channels closed, messages refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest

from tests.faults.checker import Rows, adds_up
from tests.faults.conftest import Trial
from tests.faults.world import Report, World

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def channel(world: World) -> AsyncIterator[Any]:
    """To the broker, past every line."""
    broker = world.broker.settings
    connection = await aio_pika.connect(host=broker.host, port=broker.port, login=broker.user, password=broker.password)
    async with connection:
        yield await connection.channel()


# On every channel that one of a run's connections has, as if its client had asked for it.
_FORBIDDEN = (
    "[rabbit_channel:do(P, {'queue.declare', 0, <<\"there-is-none\">>, true, false, false, false, false, []})"
    " || P <- rabbit_channel:list()]."
)


async def blocked(world: World, run_id: str) -> Report:
    """Its report, when it goes on with a broker that is alarmed."""
    world.go_on()
    report = await world.until(run_id, lambda run: run["blocked"] or run["state"] != "publishing")
    assert report["blocked"], report
    return report


async def publishing(world: World, rows: Rows, mode: str = "batch") -> tuple[str, str]:
    """A run that publishes, and goes on when it is told to; and its queue."""
    run_id = await world.send_some(rows.csv(), mode=mode, timeout=1, rate=1500)
    report = await world.report(run_id)
    return run_id, report["session"]["uuid"]


async def test_a_queue_that_is_purged_names_its_rows(world: World, trial: type[Trial]) -> None:
    rows = Rows(2000)
    run_id, queue = await publishing(world, rows)
    assert queue in await world.broker.queues()
    async with channel(world) as opened:
        purged = await (await opened.get_queue(queue)).purge()
    world.go_on()
    report = await world.ended(run_id)
    await trial(world, "queue purged").record(report, rows)
    assert report["verdict"] == "broken" and purged.message_count > 300
    assert f"{purged.message_count:,} rows were confirmed and never received" in str(report["explanation"])


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_a_queue_that_is_deleted_names_its_rows_or_is_gone_on_without(
    world: World, trial: type[Trial], mode: str
) -> None:
    """Nobody can publish to it any more: what comes back is named, or goes to a new session."""
    rows = Rows(2000)
    run_id, queue = await publishing(world, rows, mode)
    async with channel(world) as opened:
        await opened.queue_delete(queue)
    world.go_on()
    report = await world.ended(run_id)
    adds_up(report)
    if report["state"] == "completed":
        await trial(world, "queue deleted").record(report, rows)
        assert report["verdict"] == "broken"
        return
    assert report["rows"]["returned"] and report["returned_rows"]
    await world.resume(run_id)
    report = await world.ended(run_id)
    await trial(world, "queue deleted").record(report, rows)


@pytest.mark.parametrize("alarm", ["memory", "disk"])
async def test_an_alarm_blocks_and_nothing_fails(world: World, trial: type[Trial], alarm: str) -> None:
    rows = Rows(4000)
    run_id, _ = await publishing(world, rows, "live")
    async with world.broker.alarmed(alarm):
        report = await blocked(world, run_id)
        await asyncio.sleep(1)  # for a while
        later = await world.report(run_id)
        adds_up(later)
        assert (later["state"], later["error"]) == ("publishing", None), (report, later)
    report = await trial(world, f"{alarm} alarm of the broker").ends_kept(run_id, rows)
    assert not report["blocked"] and report["rows"]["resent"] == 0


async def test_a_run_that_is_blocked_can_be_cancelled(world: World, trial: type[Trial]) -> None:
    rows = Rows(4000)
    run_id, _ = await publishing(world, rows, "live")
    async with world.broker.alarmed():
        await blocked(world, run_id)
        status, _ = await world.ask("POST", f"/runs/{run_id}/cancel")
        assert status == 202
        report = await world.until(run_id, lambda run: run["state"] == "cancelled")
        adds_up(report)
    await world.resume(run_id)
    await trial(world, "cancelled while the broker is blocked").ends_kept(run_id, rows)


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_connections_that_the_broker_closes(world: World, trial: type[Trial], mode: str) -> None:
    rows = Rows(3000)
    run_id, _ = await publishing(world, rows, mode)
    await world.broker.control(
        '[rabbit_networking:close_connection(P, "a reason of its own") || P <- rabbit_networking:connections()].'
    )
    world.go_on()
    report = await trial(world, "connections closed by the broker").ends_kept(run_id, rows)
    assert run_id not in world.resumed and "a reason of its own" in str(report["resends"])


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_channels_that_crash_in_the_broker(world: World, trial: type[Trial], mode: str) -> None:
    """Which ends their connections; in live mode the consumer's as well."""
    rows = Rows(3000, repeats=4)
    run_id, _ = await publishing(world, rows, mode)
    await world.broker.control("[exit(P, crashed) || P <- rabbit_channel:list()].")
    world.go_on()
    report = await trial(world, "channels crashed in the broker").ends_kept(run_id, rows)
    assert run_id not in world.resumed and "INTERNAL_ERROR" in str(report["resends"])


@pytest.mark.parametrize("mode", ["live", "batch"])
async def test_channels_that_the_broker_closes(world: World, trial: type[Trial], mode: str) -> None:
    """As it does with one that asks for what is not there, and would at every further one: the run ends at once.

    In live mode the consumer's is closed as well. When that is mended, the run goes on where it stopped.
    """
    rows = Rows(3000, repeats=4)
    run_id, _ = await publishing(world, rows, mode)
    await world.broker.control(_FORBIDDEN)
    world.go_on()
    report = await world.ended(run_id)
    adds_up(report)
    assert (report["state"], report["error"]["code"]) == ("failed", "broker_refused")
    assert "no queue 'there-is-none'" in report["error"]["message"] and not report["resends"]
    await world.resume(run_id)
    await trial(world, "channels closed by the broker").ends_kept(run_id, rows)


async def test_messages_that_are_refused_are_named(world: World, trial: type[Trial]) -> None:
    """A queue that holds no more than so many, by a policy of the broker's."""
    rows = Rows(1500)
    await world.broker.control(
        'rabbit_policy:set(<<"/">>, <<"full">>, <<".*">>, [{<<"max-length">>, 700}, '
        '{<<"overflow">>, <<"reject-publish">>}], 0, <<"all">>, <<"tests">>).'
    )
    try:
        run_id = await world.send(rows.csv(), mode="batch", timeout=1)
        report = await world.ended(run_id)
    finally:
        await world.broker.control('rabbit_policy:delete(<<"/">>, <<"full">>, <<"tests">>).')
    await trial(world, "messages refused: the queue is full").record(report, rows)
    assert report["verdict"] == "broken" and report["rows"]["nacked"] > 0
    assert lost(report) == report["rows"]["nacked"]


def lost(report: Report) -> int:
    return int(report["rows"]["read"] - report["session"]["saved"])
