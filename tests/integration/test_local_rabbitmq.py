"""The private RabbitMQ node."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from promise_pub.errors import LocalStackError, PartFailed
from promise_pub.local import rabbitmq
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.rabbitmq import Ports, RabbitNode
from promise_pub.local.state_folder import recognise
from promise_pub.settings.model import RabbitSettings
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


async def test_a_node_takes_other_ports_when_somebody_took_one(folder: Path, conflicts: list[str]) -> None:
    conflicts.append("epmd")
    node = RabbitNode(recognise(folder), ProcessRecords(folder / "processes.json"))
    try:
        settings = await node.start(stacks.quiet, stacks.quiet)
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
    node = RabbitNode(recognise(folder), ProcessRecords(folder / "processes.json"))
    with pytest.raises(PartFailed, match="ports taken, 2 times in a row"):
        await node.start(stacks.quiet, stacks.quiet)
    assert not conflicts
    await node.stop()


async def test_a_node_that_dies_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = folder / "rabbitmq-server"
    server.write_text("#!/bin/sh\necho 'the hamster is tired' >&2\nexit 3\n")
    server.chmod(0o700)
    monkeypatch.setattr(rabbitmq, "find_server", lambda: server)
    node = RabbitNode(recognise(folder), ProcessRecords(folder / "processes.json"))
    try:
        with pytest.raises(PartFailed, match="exit code 3: the hamster is tired"):
            await node.start(stacks.quiet, stacks.quiet)
    finally:
        await node.stop()


async def test_an_epmd_that_detached_itself_is_stopped_too_and_a_stranger_s_is_not(
    folder: Path,
) -> None:
    state = recognise(folder)
    ours, stranger = [await _detached_epmd(each) for each in (state.id, "another")]
    try:
        await RabbitNode(state, ProcessRecords(folder / "processes.json")).stop()
        psutil.wait_procs([ours], timeout=20)
        assert not services.alive(ours) and services.alive(stranger)
    finally:
        stranger.kill()


async def _detached_epmd(folder_id: str) -> psutil.Process:
    port = str(rabbitmq.free_ports().epmd)
    starter = await asyncio.create_subprocess_exec(
        "epmd",
        "-daemon",
        "-address",
        "127.0.0.1",
        "-port",
        port,
        env={**os.environ, rabbitmq.MARK: folder_id},
    )
    await starter.wait()
    async with asyncio.timeout(30):
        # It forks twice: the one that stays is the one that listens.
        while (pid := _listening_on(int(port))) is None:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    return psutil.Process(pid)


def _listening_on(port: int) -> int | None:
    listening = (each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
    return next((each.pid for each in listening if each.laddr.port == port), None)


def test_a_node_listens_on_the_loopback_interface_only(rabbit: RabbitSettings) -> None:
    """The session's node: its process is the one that listens on its port."""
    connections = psutil.net_connections("tcp")
    listening = [each for each in connections if each.status == psutil.CONN_LISTEN]
    node = next(each.pid for each in listening if each.laddr.port == rabbit.port)
    addresses = {each.laddr.ip for each in listening if each.pid == node}
    assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize("before", [None, "ABCDEFGHIJKLMNOPQRST", "too-open"])
async def test_the_secret_of_the_node_is_long_random_and_ours_alone(folder: Path, before: str | None) -> None:
    """A short one is Erlang's own, as older versions left it."""
    cookie = folder / "rabbitmq" / ".erlang.cookie"
    if before:
        cookie.parent.mkdir()
        cookie.write_text("0" * 64 if before == "too-open" else before)
    first, again = [await _cookie_of_a_node(folder) for _ in range(2)]
    assert re.fullmatch("[0-9a-f]{64}", first) and len(set(first)) > 1
    assert again == first
    assert cookie.stat().st_mode & 0o777 == 0o400
    assert not _open_to_others(folder)


def _open_to_others(folder: Path) -> list[Path]:
    """Files below the folder that another account could read, if it could enter the folder itself."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.stat().st_mode & 0o044
        and all(parent.stat().st_mode & 0o011 for parent in path.parents if folder in parent.parents)
    ]


async def _cookie_of_a_node(folder: Path) -> str:
    node = RabbitNode(recognise(folder), ProcessRecords(folder / "processes.json"))
    try:
        await node.start(stacks.quiet, stacks.quiet)
        return (folder / "rabbitmq" / ".erlang.cookie").read_text()
    finally:
        await node.stop()


@pytest.mark.parametrize("name", ["Pat's work", 'the "good" one', "two\nlines"])
async def test_a_folder_whose_name_rabbitmq_cannot_take_is_refused_at_once(state: Path, name: str) -> None:
    folder = state / name
    folder.mkdir(parents=True)
    with pytest.raises(LocalStackError, match="RabbitMQ cannot keep its data in a folder with"):
        async with stacks.stack(folder, stacks.all_but("rabbit")):
            pytest.fail("it started")


async def test_too_few_files_for_a_node_are_told_at_once(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "allow_many_files", lambda: 64)
    with pytest.raises(LocalStackError, match="needs 150 open files, and this process may have 64"):
        async with stacks.stack(state, stacks.all_but("rabbit")):
            pytest.fail("it started")
