"""Other accounts of the machine, beside a running stack: they get nothing of it, whatever they try."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from promise_pub.app import FEATURES, sections_of
from promise_pub.local.postgres_home import PLACES_VARIABLE, SOCKET_NAME, find_nobody
from promise_pub.settings import model
from promise_pub.settings.model import Settings
from tests import other_user, services
from tests.other_user import Target
from tests.services import StartCommand
from tests.web_parts import client

pytestmark = pytest.mark.usefixtures("nothing_left")

STRANGER = 54321  # a user id that nobody has
as_root = os.geteuid() == 0


class Stack:
    """A stack that runs for one user, and what other users may see of it."""

    def __init__(self, state: Path, uploads: Path) -> None:
        self.settings: Settings = model.load(state / "local.ini", {}, sections_of(FEATURES))
        self.uploads = uploads
        pointer = state / "postgresql.place"
        self.place = Path(os.environ[PLACES_VARIABLE]) / pointer.read_text() if pointer.exists() else None
        self.trees = [tree for tree in (state, uploads, self.place) if tree]
        self.processes = [*services.running(state).values()]
        if self.place:
            self.processes += services.running(self.place).values()
        node = next(found for one in self.processes if (found := one.environ().get("RABBITMQ_NODENAME")))
        epmd = next(found for one in self.processes if (found := one.environ().get("ERL_EPMD_PORT")))
        self.target = Target(
            paths=[str(path) for tree in self.trees for path in (tree, *sorted(tree.rglob("*")))],
            pids=[one.pid for one in self.processes],
            database=self.settings.database.host,
            amqp=self.settings.rabbit.port,
            epmd=int(epmd),
            node=node,
            consumer=self.settings.consumer.port,
        )
        self.cookie = (state / "rabbitmq" / ".erlang.cookie").read_text()

    @property
    def secrets(self) -> list[str]:
        rabbit, database, consumer = self.settings.rabbit, self.settings.database, self.settings.consumer
        return [rabbit.password, database.password, consumer.token, self.cookie]

    def with_rights_for_others(self) -> list[Path]:
        """Files and folders in the state folder that are closed to others by the folder around them alone."""
        below = [path for path in self.trees[0].rglob("*") if not path.is_symlink()]
        return [path for path in below if path.stat().st_mode & 0o077]

    def open_by_modes(self) -> list[str]:
        """Lists what owners and modes alone let a stranger do who can enter every folder above these trees."""
        return [did for tree in self.trees for did in _open(tree)]


def _open(path: Path) -> Iterator[str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return
    if mode & stat.S_IROTH:
        yield f"read {path}"
    if mode & stat.S_IWOTH:
        yield f"write {path}"
    if stat.S_ISDIR(mode) and mode & stat.S_IXOTH:
        for below in sorted(path.iterdir()):
            yield from _open(below)


@pytest.fixture
def open_folder(session_folder: Path) -> Path:
    """A folder that everybody may enter and read."""
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    folder.chmod(0o755)
    (folder / "uploads").mkdir()
    (folder / "uploads").chmod(0o755)
    return folder


@pytest.fixture
async def stack(open_folder: Path, start_process: StartCommand) -> AsyncIterator[Stack]:
    """With a run that was sent, and an uploads folder that everybody may read. All files have the rights of umask 0."""
    state, uploads = open_folder / ".local", open_folder / "uploads"
    before = os.umask(0)
    try:
        environment = {"PROMISE_PUB_SERVER_PORT": "0", "PROMISE_PUB_SERVER_UPLOADS": str(uploads)}
        server = await start_process("serve", "--local", "--state", state, env=environment)
    finally:
        os.umask(before)
    url = (await server.wait_for(r"^promise-pub \S+ on (http://\S+)$", 120))[1]
    headers = {"Accept": "application/json", "Content-Type": "text/csv"}
    async with (
        client() as http,
        http.post(f"{url}/simulate/?mode=batch&timeout=0", data=b"a,a@x\n", headers=headers) as run,
    ):
        assert (await run.json())["verdict"] == "kept"
    yield await asyncio.to_thread(Stack, state, uploads)
    assert await server.stop() == 0


async def test_a_stranger_gets_nothing_of_a_running_stack(stack: Stack) -> None:
    seen = [f"read {stack.uploads}"]  # the names, which are ids of runs
    assert stack.open_by_modes() == seen
    assert {Path(path).name for path in stack.target.paths} > {"local.ini", "password", ".erlang.cookie", SOCKET_NAME}
    assert [path for path in stack.target.paths if path.endswith(".csv")]
    assert not stack.with_rights_for_others(), "were the state folder ever opened, they would be closed still"
    if as_root:
        assert await asyncio.to_thread(other_user.attempt, stack.target, STRANGER) == seen
    await _succeed_with_its_secrets(stack)


async def _succeed_with_its_secrets(stack: Stack) -> None:
    """Fails if the attempts could not be told from others: the user who started it may do all of this."""
    target = stack.target
    assert await asyncio.to_thread(other_user.command_node, target.node, target.epmd, stack.cookie)
    did = await asyncio.to_thread(lambda: [*other_user.use_files(target), *other_user.use_processes(target)])
    assert {f"read {path}" for path in target.paths if not path.endswith("data")} <= {*did} or not as_root
    assert f"signal {target.pids[0]}" in did
    assert [*other_user.use_sockets(target)] == [f"connect {target.database}/{SOCKET_NAME}"]


async def test_its_parts_listen_on_loopback_alone_and_show_no_secret(stack: Stack) -> None:
    ports: dict[str, set[str]] = {}
    for process in stack.processes:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                ports.setdefault(process.name(), set()).add(connection.laddr.ip)
    assert "postgres" not in ports, "its socket only"
    assert {ip.removeprefix("::ffff:") for ips in ports.values() for ip in ips} <= {"127.0.0.1", "::1"}
    assert {"epmd", "beam.smp"} <= ports.keys()
    for process in psutil.process_iter():
        try:
            shown = " ".join(process.cmdline())
        except psutil.Error:
            continue
        assert not [secret for secret in stack.secrets if secret in shown], process
    environments = [value for process in stack.processes for value in process.environ().values()]
    assert not [secret for secret in stack.secrets for value in environments if secret in value]


@pytest.mark.skipif(not as_root, reason="only root's PostgreSQL runs as nobody")
async def test_nobody_owns_the_database_of_root_and_nothing_else(stack: Stack) -> None:
    """For this reason it keeps no accounts: see test_the_stack_of_root_does_not_start_with_accounts."""
    assert stack.place
    did = await asyncio.to_thread(other_user.attempt, stack.target, find_nobody().uid)
    owned = tuple(f"{word} {stack.place / part}" for word in ("read", "write", "connect") for part in ("data", "run"))
    servers = [process.pid for process in stack.processes if process.name() == "postgres"]
    their = tuple(
        f"{word} {pid}"
        for word in ("signal", *(f"open {file} of" for file in ("environ", "maps", "mem")))
        for pid in servers
    )
    others = [one for one in did if not one.startswith(owned) and one not in their]
    assert others == [f"read {stack.uploads}"]
    assert [one for one in did if one.startswith("signal")]
