"""The private RabbitMQ node."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from promise_pub.config import RabbitSettings
from promise_pub.errors import PartFailed
from promise_pub.local import rabbitmq
from promise_pub.local.processes import Records
from promise_pub.local.rabbitmq import Ports, RabbitNode
from tests import services
from tests.integration import stacks

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def folder(state: Path) -> Path:
    state.mkdir(parents=True)
    return state


@pytest.fixture
def taken_port() -> Iterator[int]:
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield taken.getsockname()[1]


@pytest.fixture
def conflicts(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of ports: the first set offered has the first of them taken, the second the second, and so on."""
    names: list[str] = []
    free_ports = rabbitmq.free_ports

    def offer() -> Ports:
        return replace(free_ports(), **({names.pop(0): taken_port} if names else {}))

    monkeypatch.setattr(rabbitmq, "free_ports", offer)
    return names


async def test_a_node_takes_other_ports_when_somebody_took_one(
    folder: Path, conflicts: list[str]
) -> None:
    conflicts.append("epmd")
    node = RabbitNode(folder, Records(folder / "processes.json"))
    try:
        settings = await node.start(stacks.quiet)
        _, writer = await asyncio.open_connection(settings.host, settings.port)
        writer.close()
        await writer.wait_closed()
    finally:
        await node.stop()
    assert not conflicts


async def test_a_node_that_never_finds_its_ports_free_gives_up(
    folder: Path, conflicts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conflicts.extend(["distribution", "amqp"])
    monkeypatch.setattr(rabbitmq, "TRIES", 2)
    node = RabbitNode(folder, Records(folder / "processes.json"))
    with pytest.raises(PartFailed, match="ports taken, 2 times in a row"):
        await node.start(stacks.quiet)
    assert not conflicts
    await node.stop()


async def test_a_node_that_dies_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = folder / "rabbitmq-server"
    server.write_text("#!/bin/sh\necho 'the hamster is tired' >&2\nexit 3\n")
    server.chmod(0o700)
    monkeypatch.setattr(rabbitmq, "find_server", lambda: server)
    node = RabbitNode(folder, Records(folder / "processes.json"))
    try:
        with pytest.raises(PartFailed, match="exit code 3: the hamster is tired"):
            await node.start(stacks.quiet)
    finally:
        await node.stop()


async def test_an_epmd_that_detached_itself_is_stopped_too_and_a_stranger_s_is_not(
    folder: Path,
) -> None:
    home = folder / "rabbitmq"
    ours, stranger = [await _detached_epmd(each) for each in (home, folder)]
    try:
        await RabbitNode(folder, Records(folder / "processes.json")).stop()
        psutil.wait_procs([ours], timeout=20)
        assert not services.alive(ours) and services.alive(stranger)
    finally:
        stranger.kill()


async def _detached_epmd(home: Path) -> psutil.Process:
    port = str(rabbitmq.free_ports().epmd)
    starter = await asyncio.create_subprocess_exec(
        "epmd",
        "-daemon",
        "-address",
        "127.0.0.1",
        "-port",
        port,
        env={**os.environ, "HOME": str(home)},
    )
    await starter.wait()
    async with asyncio.timeout(30):
        # It forks twice: the one that stays is the one that listens.
        while (pid := _listening_on(int(port))) is None:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    return psutil.Process(pid)


def _listening_on(port: int) -> int | None:
    listening = (
        each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN
    )
    return next((each.pid for each in listening if each.laddr.port == port), None)


def test_a_node_listens_on_the_loopback_interface_only(rabbit: RabbitSettings) -> None:
    """The session's node: its process is the one that listens on its port."""
    connections = psutil.net_connections("tcp")
    listening = [each for each in connections if each.status == psutil.CONN_LISTEN]
    node = next(each.pid for each in listening if each.laddr.port == rabbit.port)
    addresses = {each.laddr.ip for each in listening if each.pid == node}
    assert addresses == {"127.0.0.1"}
