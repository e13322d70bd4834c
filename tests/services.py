"""Real services for the tests, and commands run as real processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import psutil
import pytest

from promise_pub import db
from promise_pub.local.postgres import Postgres
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.rabbitmq import RabbitNode
from promise_pub.local.state_folder import recognise
from promise_pub.settings.model import DatabaseSettings, RabbitSettings

MARK = "PROMISE_PUB_TEST_MARK"  # in the environment of every process that a test starts
TEMPLATE = "scheme_applied"
_POLL = 0.02  # seconds

# A crash of the machine may cost the tests their data.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}


class BackgroundLoop:
    """An event loop in a thread of its own, so that services of a session do not depend on any test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="services", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any], timeout: float = 120) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def missing(reason: str) -> NoReturn:
    """No service: no test here, and no success in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


async def control(node: RabbitNode, expression: str) -> str:
    """What an Erlang expression comes to in the node: rabbitmqctl's `eval`, without the seconds it takes to start."""
    program = shutil.which("erl_call", path="/usr/bin:/usr/lib/erlang/bin:/usr/local/bin")
    assert program, "erl_call, of Debian's erlang-base, is missing"
    environment = dict(psutil.Process(node.part.process.pid).environ())
    process = await asyncio.create_subprocess_exec(
        program,
        *("-n", environment["RABBITMQ_NODENAME"], "-e"),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(f"{expression}\n".encode()), 30)
    told = output.decode()
    assert process.returncode == 0 and told.startswith("{ok, "), (expression, told)
    return told[5:-1]


class BrokerUnderTest:
    """A private RabbitMQ node, and what its operator may do."""

    def __init__(self, node: RabbitNode, settings: RabbitSettings) -> None:
        self.settings = settings
        self._node = node

    async def control(self, expression: str) -> str:
        return await control(self._node, expression)

    async def add_user(self, *, write: str = ".*") -> RabbitSettings:
        """A user of its own, who may configure and read everything, and write to what the pattern says."""
        name = f"user-{uuid.uuid4().hex[:8]}"
        await self.control(f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"pw">>, <<"tests">>).')
        settings = replace(self.settings, user=name, password="pw")
        await self.permit(settings, write=write)
        return settings

    async def permit(self, settings: RabbitSettings, *, write: str) -> None:
        await self.control(
            f'rabbit_auth_backend_internal:set_permissions(<<"{settings.user}">>, <<"/">>, <<".*">>, '
            f'<<"{write}">>, <<".*">>, <<"tests">>).'
        )

    async def limit(self, settings: RabbitSettings, what: str, most: int) -> None:
        """`what` the user may have: max-channels or max-connections."""
        await self.control(
            f'rabbit_auth_backend_internal:set_user_limits(<<"{settings.user}">>, #{{<<"{what}">> => {most}}}, '
            '<<"tests">>).'
        )


@contextmanager
def broker(loop: BackgroundLoop, folder: Path) -> Iterator[BrokerUnderTest]:
    """A private RabbitMQ node, as long as the block lasts."""
    node = RabbitNode(recognise(folder), ProcessRecords(folder / "rabbitmq.json"))
    try:
        yield BrokerUnderTest(node, loop.run(node.start(_quiet, _quiet)))
    finally:
        loop.run(node.stop())


@contextmanager
def database_server(loop: BackgroundLoop, folder: Path) -> Iterator[DatabaseSettings]:
    """An embedded PostgreSQL with a database to copy: TEMPLATE, which has the scheme."""
    server = Postgres(recognise(folder), ProcessRecords(folder / "postgresql.json"), _FAST)
    try:
        settings = loop.run(server.start(_quiet, _quiet))
        loop.run(_make_template(settings))
        yield settings
    finally:
        loop.run(server.stop())


def _quiet(_: str) -> None:
    """The tests' output is pytest's."""


async def _make_template(server: DatabaseSettings) -> None:
    await execute(server, f"CREATE DATABASE {TEMPLATE}")
    async with db.open_pool(replace(server, dbname=TEMPLATE), max_size=1) as pool:
        await db.apply_scheme(pool)


async def execute(server: DatabaseSettings, statement: str) -> None:
    connection = await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database="postgres",
        timeout=30,
    )
    try:
        await connection.execute(statement, timeout=30)
    finally:
        await connection.close(timeout=30)


class RunningCommand:
    """A promise-pub command as a process: what it printed, and its end. `output` has both streams, as they came."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str) -> None:
        self.process = process
        self.output = ""
        self._mark = mark
        self._seen: dict[int, psutil.Process] = {}
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    async def _read(self) -> None:
        assert self.process.stdout
        while chunk := await self.process.stdout.read(65536):
            self.output += chunk.decode(errors="replace")

    async def wait_for(self, pattern: str, within: float = 60) -> re.Match[str]:
        """The first match in its output. Fails when it ends, or time does, before there is one."""
        deadline = time.monotonic() + within
        while not (match := re.search(pattern, self.output, re.MULTILINE)):
            ended = self._reading.done()
            assert not ended and time.monotonic() < deadline, (
                f"{pattern!r} did not come ({'it ended' if ended else f'in {within} s'}); it printed:\n{self.output}"
            )
            await asyncio.sleep(_POLL)
        return match

    async def finish(self, within: float = 60) -> int:
        """Its exit code, once it ends by itself. Fails when it does not, or leaves a process behind."""
        self._look()
        try:
            code = await asyncio.wait_for(self.process.wait(), within)
        except TimeoutError:
            raise AssertionError(f"it did not end in {within} s; it printed:\n{self.output}") from None
        left = await self._left()
        await asyncio.wait_for(self._reading, 30)
        assert not left, f"it left processes behind: {left}"
        return code

    async def stop(self, number: int = signal.SIGTERM, within: float = 60) -> int:
        """Signals it (SIGTERM, SIGINT) and returns its exit code, as `finish`."""
        self._look()
        if self.returncode is None:
            self.process.send_signal(number)
        return await self.finish(within)

    async def kill(self) -> None:
        """kill -9, and nothing else: what it started is left to its own devices."""
        self._look()
        if self.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def clean_up(self) -> None:
        """For the end of a test, however it went: nothing stays."""
        await self.kill()
        for process in self._relatives():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _look(self) -> None:
        """Notes the processes it has now: some hide their environment, and detached ones their parent."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                self._seen[child.pid] = child

    def _relatives(self) -> list[psutil.Process]:
        marked = {process.pid: process for process in marked_processes(self._mark)}
        seen = {pid: process for pid, process in self._seen.items() if alive(process)}
        return [process for pid, process in {**seen, **marked}.items() if pid != os.getpid()]

    async def _left(self, grace: float = 10) -> list[str]:
        """What still runs. The helpers of a process that has just ended need a moment to notice."""
        deadline = time.monotonic() + grace
        while True:
            left = self._relatives()
            if not left or time.monotonic() > deadline:
                return [describe(process) for process in left]
            await asyncio.sleep(_POLL)


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:120]}"
    except psutil.NoSuchProcess:
        return f"{process.pid} (gone meanwhile)"


def marked_processes(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and alive(process):
                found.append(process)
    return found


def running(folder: Path) -> dict[int, psutil.Process]:
    """The processes that work in a folder below this one, or call one their home, as every part of a local stack does."""
    return {process.pid: process for process in psutil.process_iter() if _works_in(process, str(folder))}


def _works_in(process: psutil.Process, folder: str) -> bool:
    with suppress(psutil.Error, OSError):
        places = (process.cwd(), process.environ().get("HOME", ""))
        return alive(process) and any(place.startswith(folder) for place in places)
    return False


def kill_all(folder: Path) -> None:
    """For the end of a session that was cut off in the middle of a test."""
    for process in running(folder).values():
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def start_command(
    arguments: tuple[str | Path, ...],
    environment: Mapping[str, str],
    cwd: Path,
    program: tuple[str | Path, ...] = ("-m", "promise_pub"),
) -> RunningCommand:
    """Runs `promise-pub`, or another Python program, away from the configuration of whoever runs the tests."""
    mark = uuid.uuid4().hex
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PROMISE_PUB_", "XDG_"))}
    kept = {name: os.environ[name] for name in ("PROMISE_PUB_LOCAL_PLACES",) if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, (*program, *arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env={
            **inherited,
            **kept,
            "XDG_CONFIG_HOME": str(cwd),
            "PYTHONUNBUFFERED": "1",
            **environment,
            MARK: mark,
        },
        start_new_session=True,
    )
    return RunningCommand(process, mark)


StartCommand = Callable[..., Coroutine[Any, Any, RunningCommand]]
