"""The servers' sockets: files enough for many connections, word of those refused, addresses as they are written."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import socket
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from promise_pub import addresses, resources


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("localhost", "localhost:80"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("::1", "[::1]:80"),
        ("fe80::1%lo", "[fe80::1%lo]:80"),
    ],
)
def test_an_ipv6_address_stands_in_brackets(host: str, written: str) -> None:
    assert addresses.join_host_port(host, 80) == written
    assert addresses.http_url(host, 80) == f"http://{written}"
    assert addresses.http_url(host, 80, tls=True) == f"https://{written}"


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_files_as_the_hard_limit_allows_may_be_open(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    resources.allow_many_files()
    soft, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = resources.MAX_FILES
    assert (soft, still) == (most if hard == resource.RLIM_INFINITY else min(hard, most), hard)


def test_a_limit_that_is_higher_than_needed_stays(limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "MAX_FILES", 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    resources.allow_many_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200


@pytest.fixture
def unheard() -> Iterator[None]:
    """asyncio's own logger, as every command has it."""
    logger = logging.getLogger("asyncio")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.mark.usefixtures("unheard")
async def test_a_connection_that_gets_no_file_is_told_once_and_accepted_later(
    limits: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    accepted = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()
        accepted.set()

    with resources.log_refused_connections():
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        with socket.socket() as client:
            client.setblocking(False)
            taken = fill_up(limits[1])
            port = server.sockets[0].getsockname()[1]
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            async with asyncio.timeout(30):
                while not caplog.records:  # noqa: ASYNC110  asyncio's own call tells it
                    await asyncio.sleep(0.01)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for descriptor in taken:
                os.close(descriptor)
            await asyncio.wait_for(accepted.wait(), 30)
        server.close()
        await server.wait_closed()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, f"New connections cannot be accepted: {os.strerror(errno.EMFILE)}")
    ]


def fill_up(hard: int) -> list[int]:
    """Takes every file that may still be opened, once they are limited to about those there are."""
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    taken: list[int] = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        return taken


@pytest.mark.parametrize("others", [True, False])
async def test_what_else_asyncio_complains_of_goes_where_it_went(
    others: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "asyncio")  # commands that were tested before may have silenced it
    heard: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    if others:
        loop.set_exception_handler(lambda _, context: heard.append(context))
    with resources.log_refused_connections():
        loop.call_exception_handler({"message": "a task was lost", "exception": OSError(5, "x")})
    assert [context["message"] for context in heard] == ["a task was lost"] * others
    assert ("a task was lost" in caplog.text) is not others
    loop.set_exception_handler(None)


def test_threads_are_switched_often_in_the_block() -> None:
    before = sys.getswitchinterval()
    with resources.switch_threads_often():
        assert sys.getswitchinterval() <= before / 5
    assert sys.getswitchinterval() == before


def test_garbage_is_looked_for_rarely_in_the_block_and_found_all_the_same() -> None:
    class Node:
        me: Node

    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with resources.collect_garbage_rarely():
        assert gc.get_threshold() > before and gc.get_freeze_count() > frozen
        node = Node()
        node.me, gone = node, weakref.ref(node)
        del node
        gc.collect()
        assert gone() is None
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, frozen)
