"""The local stack as a whole: what it starts, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from promise_pub import app
from promise_pub.errors import ConfigurationError, LocalStackError, PartFailed, PartMissing
from promise_pub.features.journal.settings import BusSettings
from promise_pub.local import LocalStack, postgres_programs, rabbitmq
from promise_pub.local.bundled_consumer import BundledConsumer
from promise_pub.local.stack import _finish
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests import services
from tests.integration import stacks
from tests.services import StartCommand

pytestmark = pytest.mark.usefixtures("nothing_left")


def _rights_above(*paths: Path) -> dict[Path, int]:
    return {folder: _rights(folder) for path in paths for folder in path.absolute().parents}


def _rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def _line_of(log: Path, words: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if words in await asyncio.to_thread(log.read_text):
                return
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("stand_in_consumer")
async def test_all_parts_start_work_and_stop_and_no_folder_is_opened_to_others(state: Path) -> None:
    state.parent.mkdir(mode=0o700)
    packages = postgres_programs.find_package() / "pginstall18" / "bin" / "postgres"
    before = _rights_above(state, packages)
    said: list[str] = []
    options = (app.sections_of(app.FEATURES), app.local_options_of(app.FEATURES))
    given = {"rabbit": {"window": "77"}, "bus": {"prefix": "mine"}}
    stack = LocalStack(state, given, *options, report=said.append, warn=said.append)
    async with stack as settings:
        stack.publish_settings(4711)
        published = stacks.loaded(state / "local.ini")
        assert published.rabbit == settings.rabbit
        assert published.database == settings.database
        assert published.consumer == settings.consumer
        assert published.server.port == 4711
        assert _rights(state / "local.ini") == 0o600
        assert _rights(state) == 0o700
        assert await stacks.fetch(settings.database, "SELECT count(*) FROM runs") == 0
        assert settings.rabbit.window == 77
        assert settings.of("bus", BusSettings) == BusSettings(enabled=True, prefix="mine")
        assert [line.split(" ")[0] for line in stack.started] == [
            "RabbitMQ",
            "bundled",
            "PostgreSQL",
        ]
        await _line_of(state / "consumer.log", "promise_pub 77")
        _, writer = await asyncio.open_connection(settings.consumer.host, settings.consumer.port)
        writer.close()
        await writer.wait_closed()
    assert not (state / "local.ini").exists()
    assert not (state / "consumer.ini").exists()
    assert said[-1] == "stopping"
    assert _rights_above(state, packages) == before


async def test_a_second_stack_runs_beside_the_first_but_not_in_its_folder(state: Path) -> None:
    other = state.with_name(".other")
    values = stacks.all_but("rabbit", "database")
    state.parent.mkdir()
    async with asyncio.TaskGroup() as group:
        both_run = asyncio.Barrier(2)
        mine, others = (group.create_task(_run_until(both_run, each, values)) for each in (state, other))
    assert mine.result() != others.result()


async def _run_until(both_run: asyncio.Barrier, state: Path, values: dict[str, dict[str, str]]) -> int:
    async with stacks.stack(state, values) as settings:
        with pytest.raises(LocalStackError, match="another serve --local is running there"):
            async with stacks.stack(state, values):
                pytest.fail("it started in a folder that was in use")
        await stacks.fetch(settings.database, "INSERT INTO employees (name, mail) VALUES ('a', 'a') RETURNING id")
        async with asyncio.timeout(90):
            await both_run.wait()
        assert await stacks.fetch(settings.database, "SELECT count(*) FROM employees") == 1
        return settings.rabbit.port


@pytest.mark.usefixtures("stand_in_consumer")
async def test_what_is_configured_is_used_and_not_started(
    state: Path, session_folder: Path, rabbit: RabbitSettings, database: DatabaseSettings
) -> None:
    before = services.running(session_folder)
    stack = LocalStack(
        state,
        stacks.all_but("consumer", rabbit=rabbit, database=database),
        app.sections_of(app.FEATURES),
        app.local_options_of(app.FEATURES),
        report=stacks.quiet,
        warn=stacks.quiet,
    )
    async with stack as settings:
        assert (settings.rabbit, settings.database) == (rabbit, database)
        assert not settings.of("bus", BusSettings).enabled, "a broker of others is left as it is"
        assert [line.split(" on ")[0] for line in stack.started] == ["bundled consumer"]
        await _line_of(state / "consumer.log", f"{database.dbname} {rabbit.window}")
        new = [process for pid, process in services.running(session_folder).items() if pid not in before]
        assert len(new) == 1


async def test_a_mistake_in_what_is_configured_shows_before_anything_starts(state: Path) -> None:
    state.parent.mkdir()
    with pytest.raises(ConfigurationError, match=r"\[rabbit\] window"):
        async with stacks.stack(state, {"rabbit": {"window": "many"}}):
            pytest.fail("it started")
    assert not _files_in(state.parent)


async def test_a_consumer_that_is_configured_needs_its_port(
    state: Path, settings_file: Callable[[Settings], Path], start_process: StartCommand
) -> None:
    state.parent.mkdir()
    unknown_port = {"consumer": {"host": "127.0.0.1", "port": "0"}}
    with pytest.raises(ConfigurationError, match=r"\[consumer\] port: must be from 1 to 65535"):
        async with stacks.stack(state, unknown_port):
            pytest.fail("it started")
    settings = Settings(
        server=ServerSettings(),
        rabbit=RabbitSettings(host="127.0.0.1"),
        consumer=ConsumerSettings(host="127.0.0.1", port=0),
        database=DatabaseSettings(dbname="a", user="b", password="c"),
    )
    server = await start_process("serve", "-c", settings_file(settings))
    assert await server.finish() == 2
    assert "[consumer] port: must be from 1 to 65535, not 0" in server.output


async def test_a_missing_server_is_named_with_the_command_that_installs_it(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "_SERVER_PLACES", ())
    monkeypatch.setattr(rabbitmq, "_SYSTEM_PATH", "")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PartMissing, match="apt-get install --no-install-recommends rabbitmq-server"):
        async with stacks.stack(state, stacks.all_but("rabbit", "database")):
            pytest.fail("it started without a server")


async def test_a_missing_postgresql_is_named_with_the_command_that_installs_it(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_programs, "_PACKAGE", "no_such_package_here")
    with pytest.raises(PartMissing, match="pip install"):
        async with stacks.stack(state, stacks.all_but("database")):
            pytest.fail("it started without a server")


async def test_a_part_that_ends_at_once_is_quoted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = (sys.executable, "-c", "raise SystemExit('my shoes are too tight')")
    monkeypatch.setattr(BundledConsumer.__init__, "__defaults__", (command,))
    with pytest.raises(PartFailed, match="bundled consumer ended with exit code 1: my shoes are too tight"):
        async with stacks.stack(state, stacks.all_but("consumer")):
            pytest.fail("it started")


async def test_a_start_that_is_cancelled_stops_what_it_had_started(state: Path, session_folder: Path) -> None:
    before = services.running(session_folder)
    starting = asyncio.create_task(_enter(state))
    async with asyncio.timeout(30):
        while True:
            new = [process for pid, process in services.running(session_folder).items() if pid not in before]
            if {"beam.smp", "postgres"} <= stacks.names(new):
                break
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def _enter(state: Path) -> None:
    async with stacks.stack(state, stacks.all_but("rabbit", "database")):
        await asyncio.sleep(60)


async def test_stopping_ends_before_a_second_interrupt_is_heeded() -> None:
    steps: list[str] = []

    async def stop() -> None:
        await asyncio.sleep(0.05)
        steps.append("stopped")

    task = asyncio.create_task(_finish(stop()))
    for _ in range(3):
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["stopped"]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    folder = Path(__file__) / ".local"
    with pytest.raises(LocalStackError, match=r"test_local_stack\.py.* Not a directory"):
        async with stacks.stack(folder, {}):
            pytest.fail("it started")
