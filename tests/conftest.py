"""Fixtures with real parts: a RabbitMQ node and a PostgreSQL server a session, a database a test, commands as processes.

A service that is not installed skips the tests that need it, with the reason; where CI is set it fails them. Everything
is in one private folder, which goes with the session.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

from promise_pub.errors import PartMissing
from promise_pub.local.postgres_home import PLACES_VARIABLE
from promise_pub.settings import inifile
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests import services
from tests.services import BackgroundLoop, BrokerUnderTest, RunningCommand, StartCommand

# A busy machine is no fault of the code. Whatever else is usual stays so, in CI as well.
property_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("patient")
FOLDER = pytest.StashKey[Path]()
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes: a session takes up to one, and several run at a time


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="try the faults at 500 random moments")
    parser.addoption("--reliability", metavar="FILE", help="write what the faults came to")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the words of the Makefile first: each takes minutes, and as the last ones they would keep one process busy."""
    items.sort(key=lambda item: item.path.name != "test_words.py")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """One folder for the whole session. pytest's own temporary folders would stay; in here they go too."""
    folder = Path(tempfile.mkdtemp(prefix="promise-pub-tests-", dir=_place()))
    folder.chmod(0o711)  # as root, PostgreSQL runs as nobody and has to pass
    config.stash[FOLDER] = folder
    config.add_cleanup(partial(_clean_up, folder))
    if not config.option.basetemp:
        config.option.basetemp = str(folder / "tmp")
    (folder / "places").mkdir()
    (folder / "places").chmod(0o711)
    os.environ[PLACES_VARIABLE] = str(folder / "places")
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # the tests' own connections would heed it
    signal.signal(signal.SIGTERM, _interrupt)


def _place() -> Path | None:
    """In memory, unless TMPDIR says where: a database a test is some 300 files, which take a disk most of the test's time.

    Where memory is short, or runs no programs (PostgreSQL's are copied), None: where temporary files go.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return None
    facts = os.statvfs(MEMORY)
    fits = facts.f_bavail * facts.f_frsize >= ROOM and not facts.f_flag & os.ST_NOEXEC
    return MEMORY if fits else None


def _clean_up(folder: Path) -> None:
    services.kill_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _interrupt(*_: Any) -> None:
    """A SIGTERM ends the tests as Ctrl-C does, with everything taken down."""
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def services_loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def services_folder(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.stash[FOLDER] / "services"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def broker_node(services_loop: BackgroundLoop, services_folder: Path) -> Iterator[BrokerUnderTest]:
    """A broker of the tests' own, for those that change its users, rights and limits."""
    try:
        with services.broker(services_loop, services_folder) as node:
            yield node
    except PartMissing as error:
        services.missing(error.message)


@pytest.fixture(scope="session")
def rabbit(broker_node: BrokerUnderTest) -> RabbitSettings:
    """A broker of the tests' own. Use a queue name of your own in each test."""
    return broker_node.settings


@pytest.fixture(scope="session")
def database_server(services_loop: BackgroundLoop, services_folder: Path) -> Iterator[DatabaseSettings]:
    """A database server of the tests' own. Tests ask for `database`."""
    try:
        with services.database_server(services_loop, services_folder) as settings:
            yield settings
    except PartMissing as error:
        services.missing(error.message)


@pytest.fixture
def database(services_loop: BackgroundLoop, database_server: DatabaseSettings) -> Iterator[DatabaseSettings]:
    """A fresh database with the scheme applied, gone after the test with all who are connected to it."""
    name = f"test_{uuid.uuid4().hex}"
    services_loop.run(services.execute(database_server, f"CREATE DATABASE {name} TEMPLATE {services.TEMPLATE}"))
    yield replace(database_server, dbname=name)
    services_loop.run(services.execute(database_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def settings_for(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> Callable[[ConsumerSettings], Settings]:
    """Complete settings for a consumer: the tests' services, a free port, uploads in the test's folder."""

    def complete(consumer: ConsumerSettings) -> Settings:
        server = ServerSettings(port=0, uploads=tmp_path / "uploads")
        return Settings(server=server, rabbit=rabbit, consumer=consumer, database=database)

    return complete


@pytest.fixture
def settings_file(tmp_path: Path) -> Callable[[Settings], Path]:
    """Writes settings as a configuration file, for a command's `-c`."""

    def write(settings: Settings) -> Path:
        path = tmp_path / f"settings-{uuid.uuid4().hex[:8]}.ini"
        inifile.write(path, settings)
        return path

    return write


@pytest.fixture
async def start_process(tmp_path: Path) -> AsyncIterator[StartCommand]:
    """Starts a promise-pub command: `command = await start_process("serve", "-c", path, env={...}, cwd=folder)`.

    Then `await command.wait_for(pattern)`, `command.output`, `await command.finish()` or `await command.stop(SIGINT)`,
    both of which return the exit code and fail when a process is left behind. Whatever is left is killed.
    """
    async with AsyncExitStack() as stack:

        async def start(
            *arguments: str | Path,
            env: dict[str, str] | None = None,
            cwd: Path | None = None,
            program: tuple[str | Path, ...] = ("-m", "promise_pub"),
        ) -> RunningCommand:
            command = await services.start_command(arguments, env or {}, cwd or tmp_path, program)
            stack.push_async_callback(command.clean_up)
            return command

        yield start
