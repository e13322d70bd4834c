"""What an earlier start left behind, after kill -9: found, stopped, and never confused with anything else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from promise_pub.errors import LocalStackError, PartFailed
from promise_pub.local import postgres, postgres_data, processes
from promise_pub.local.parts import SystemUser
from promise_pub.local.postgres import Postgres
from promise_pub.local.postgres_home import PLACES_VARIABLE, PostgresHome
from promise_pub.local.processes import ProcessRecord, ProcessRecords
from promise_pub.local.state_folder import recognise
from tests import services
from tests.integration import stacks

pytestmark = pytest.mark.usefixtures("nothing_left")

# Runs a stack until killed. "unseen" takes the kernel's help away, as on a system without setpriv.
OWNER = """
import asyncio, sys
from pathlib import Path
from promise_pub.local import LocalStack, parts
from tests.integration import stacks
sections = sys.argv[3].split(",")
if sys.argv[2] == "unseen":
    parts.die_with_parent = lambda arguments, _: [str(each) for each in arguments]
async def main():
    async with stacks.stack(Path(sys.argv[1]), stacks.all_but(*sections)) as settings:
        await stacks.fetch(settings.database, "INSERT INTO employees (name, mail) VALUES ('a', 'a') RETURNING id")
        print("running", flush=True)
        await asyncio.sleep(120)
asyncio.run(main())
"""


Kill = Callable[..., Coroutine[Any, Any, list[psutil.Process]]]


@pytest.fixture
def killed_owner(state: Path, session_folder: Path) -> Kill:
    """Starts a stack in another process and kills that; the processes that the stack had by then."""

    async def start_and_kill(how: str, *sections: str) -> list[psutil.Process]:
        before = services.running(session_folder)
        owner = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OWNER,
            str(state),
            how,
            ",".join(sections),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert owner.stdout
            async with asyncio.timeout(60):
                assert await owner.stdout.readline() == b"running\n"
            parts = services.running(session_folder)
        finally:
            owner.kill()
            await owner.communicate()
        return [process for pid, process in parts.items() if pid not in before]

    return start_and_kill


async def test_a_stack_whose_owner_was_killed_is_stopped_and_started_anew_with_its_data(
    state: Path, killed_owner: Kill
) -> None:
    left = await killed_owner("unseen", "rabbit", "database")
    assert {"beam.smp", "epmd", "postgres"} <= stacks.names(left)
    async with stacks.stack(state, stacks.all_but("rabbit", "database")) as settings:
        assert not [process for process in left if services.alive(process)]
        assert await stacks.fetch(settings.database, "SELECT count(*) FROM employees") == 1


@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="util-linux's setpriv is not here")
async def test_the_kernel_stops_a_stack_whose_owner_was_killed(killed_owner: Kill) -> None:
    left = await killed_owner("seen", "database")
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 30)
    assert not [process for process in alive if services.alive(process)]


async def test_a_database_server_without_a_record_is_known_by_its_data(state: Path, killed_owner: Kill) -> None:
    left = await killed_owner("unseen", "database")
    (state / "processes.json").unlink()
    async with stacks.stack(state, stacks.all_but("database")) as settings:
        assert not [process for process in left if services.alive(process)]
        assert await stacks.fetch(settings.database, "SELECT count(*) FROM employees") == 1


def kill(parts: list[psutil.Process]) -> None:
    """kill -9; some were short-lived."""
    for process in parts:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _home(state: Path) -> PostgresHome:
    """Where the data are, for a look while no server holds them."""
    with ExitStack() as held:
        return postgres_data.prepare(recognise(state), stacks.quiet, held)


def _postmaster_pid(state: Path) -> Path:
    return _home(state).data / "postmaster.pid"


@pytest.mark.parametrize("whose", ["another process", "a corpse that nobody takes away"])
async def test_a_database_whose_process_id_is_taken_starts_all_the_same(
    state: Path, killed_owner: Kill, whose: str
) -> None:
    kill(await killed_owner("unseen", "database"))
    stale = await asyncio.to_thread(_postmaster_pid, state)
    with _another(_home(state).user, corpse="corpse" in whose) as other:
        _, *rest = stale.read_text().splitlines()
        stale.write_text("\n".join([str(other.pid), *rest, ""]))
        async with stacks.stack(state, stacks.all_but("database")) as settings:
            assert await stacks.fetch(settings.database, "SELECT count(*) FROM employees") == 1
        assert other.returncode is None


@contextmanager
def _another(user: SystemUser | None, *, corpse: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the account that PostgreSQL runs as; as a corpse it has ended, and nobody has asked how."""
    command = ["true"] if corpse else ["sleep", "60"]
    process = subprocess.Popen(command, user=user.uid if user else None)
    if corpse:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# Takes in whatever loses its parent, and never asks how it ended: every corpse stays, as in many a container.
HEEDLESS = """
import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
owner = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
time.sleep(180)
"""


async def _taken_back(pid: int) -> None:
    """Waits for a corpse. What a killed process held, locks as well, is its own until the last of its threads has gone."""
    corpse = psutil.Process(pid)
    async with asyncio.timeout(30):
        while corpse.status() != psutil.STATUS_ZOMBIE or corpse.num_threads() > 1:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.05)


async def test_a_stack_killed_with_all_its_parts_starts_again_though_their_corpses_stay(
    state: Path, session_folder: Path
) -> None:
    before = services.running(session_folder)
    heedless = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", HEEDLESS, OWNER, str(state), "unseen", "rabbit,database"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert heedless.stdout
        async with asyncio.timeout(90):
            assert await heedless.stdout.readline() == b"running\n"
        parts = [each for pid, each in services.running(session_folder).items() if pid not in before]
        owner, *_ = psutil.Process(heedless.pid).children()
        kill([owner])
        await _taken_back(owner.pid)
        kill(parts)  # not before: a thread of their owner's that waits for them could still take their corpses in
        postmaster = int((await asyncio.to_thread(_postmaster_pid, state)).read_text().split()[0])
        await _taken_back(postmaster)
        async with stacks.stack(state, stacks.all_but("rabbit", "database")) as settings:
            assert await stacks.fetch(settings.database, "SELECT count(*) FROM employees") == 1
        assert psutil.Process(postmaster).status() == psutil.STATUS_ZOMBIE
    finally:
        heedless.kill()
        await heedless.communicate()


async def test_what_still_works_in_the_data_is_not_joined(
    state: Path, killed_owner: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A postmaster's children may outlive it for a while; its file stays as long, and nothing is started."""
    kill(await killed_owner("unseen", "database"))
    stale = await asyncio.to_thread(_postmaster_pid, state)
    monkeypatch.setattr(postgres, "STOP_GRACE", 0.2)
    child = await asyncio.create_subprocess_exec("sleep", "60", cwd=stale.parent)
    try:
        with pytest.raises(PartFailed, match=f"still works in .*: process {child.pid}"):
            async with stacks.stack(state, stacks.all_but("database")):
                pytest.fail("it started")
        assert stale.exists()
    finally:
        child.kill()
        await child.wait()


async def test_a_link_in_place_of_the_file_that_names_a_server_is_not_followed(
    state: Path, killed_owner: Kill, tmp_path: Path
) -> None:
    kill(await killed_owner("unseen", "database"))
    stale = await asyncio.to_thread(_postmaster_pid, state)
    elsewhere = tmp_path / "somebody's"
    elsewhere.write_text(str(os.getpid()))
    stale.unlink()
    stale.symlink_to(elsewhere)
    async with stacks.stack(state, stacks.all_but("database")) as settings:
        assert await stacks.fetch(settings.database, "SELECT 1") == 1
    assert elsewhere.read_text() == str(os.getpid())


def _half_made(state: Path) -> None:
    state.mkdir(parents=True)
    (_home(state).make("data.new") / "half").mkdir()


async def test_an_interrupted_making_of_the_data_is_begun_again(state: Path) -> None:
    _half_made(state)
    server = Postgres(recognise(state), ProcessRecords(state / "processes.json"))
    try:
        settings = await server.start(stacks.quiet, stacks.quiet)
        assert await stacks.fetch(settings, "SELECT 1") == 1
    finally:
        await server.stop()


@pytest.fixture
async def bystander(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that works in the test's folder."""
    process = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True, cwd=tmp_path)
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


def _record(process: asyncio.subprocess.Process) -> ProcessRecord:
    record = ProcessRecord.of("sleep", process.pid, signal.SIGTERM)
    assert record
    return record


def _leave(path: Path, *records: ProcessRecord) -> ProcessRecords:
    path.write_text(json.dumps([asdict(record) for record in records]))
    return ProcessRecords(path)


@pytest.mark.parametrize("difference", [{"started": 1}, {"boot": "another"}])
async def test_a_process_that_only_has_the_same_id_is_left_alone(
    tmp_path: Path, bystander: asyncio.subprocess.Process, difference: dict[str, object]
) -> None:
    record = ProcessRecord(**{**asdict(_record(bystander)), **difference})
    assert await _leave(tmp_path / "processes.json", record).stop_leftovers() == []
    assert bystander.returncode is None
    assert processes.started_at(bystander.pid)


async def test_a_recorded_process_is_stopped_and_its_record_forgotten(
    tmp_path: Path, bystander: asyncio.subprocess.Process
) -> None:
    path = tmp_path / "processes.json"
    assert await _leave(path, _record(bystander)).stop_leftovers() == ["sleep"]
    assert await asyncio.wait_for(bystander.wait(), 30) == -signal.SIGTERM
    assert json.loads(path.read_text()) == []


async def test_a_record_that_was_copied_from_another_folder_stops_nobody(
    tmp_path: Path, bystander: asyncio.subprocess.Process
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    assert await _leave(copy / "processes.json", _record(bystander)).stop_leftovers() == []
    assert processes.started_at(bystander.pid)


async def test_records_cut_off_by_the_kill_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "processes.json"
    path.write_text('[{"name": "RabbitMQ", "pi')
    assert await ProcessRecords(path).stop_leftovers() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's data are away from the state folder")
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_place_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    folder = tmp_path / "places"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv(PLACES_VARIABLE, str(folder))
    with pytest.raises(LocalStackError, match="only root can write"):
        _home(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's data are away from the state folder")
def test_a_place_behind_a_private_folder_is_refused_and_the_folder_stays_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    monkeypatch.setenv(PLACES_VARIABLE, str(private / "places"))
    with pytest.raises(LocalStackError, match="cannot pass"):
        _home(tmp_path)
    assert private.stat().st_mode & 0o777 == 0o700
