"""A private RabbitMQ node, from the server that the system's packages installed.

Nothing is shared with a broker the machine may run: own node name, own ports, own epmd, own cookie, own state, and no
listener beyond the loopback interface. epmd runs as our child, in the foreground: left to Erlang it would detach itself
and stay when the node has gone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiormq
import psutil
from yarl import URL

from promise_pub.errors import LocalStackError, PartFailed, PartMissing
from promise_pub.local.processes import STOP_GRACE, Part, Records, last_lines, spawn, write_private
from promise_pub.local.state_folder import StateFolder, unused
from promise_pub.resources import allow_many_files
from promise_pub.settings.model import RabbitSettings

USER = "promise_pub"
READY_TIMEOUT = 90.0  # seconds; four on an ordinary machine
TRIES = 4  # a port found free may be taken before the node has it
_LOGIN_TIMEOUT = 5.0  # seconds
_STARTING_GRACE = 1.0  # seconds
_EPMD_SETTLES = 0.1  # seconds; three milliseconds on an ordinary machine
_POLL = 0.1  # seconds
_LOOPBACK = "127.0.0.1"
_COOKIE_BYTES, _COOKIE_MODE = 32, 0o400
MARK = "PROMISE_PUB_FOLDER"  # in the environment of its processes: the id of the state folder
# It gives the path of its data to a shell, in quotes, to see how full the disk is.
_UNUSABLE = {"'": "an apostrophe", '"': "a quotation mark", "\n": "a line end"}
_FILES = 150  # files that a node has open once it serves, and some connections

# The package's own script, not the wrapper in sbin, which changes to the system's user and its places.
_SERVER_PLACES = ("/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin", "/opt/rabbitmq/sbin")
_ERLANG_PLACES = ("/usr/lib/erlang/bin", "/usr/local/lib/erlang/bin")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CONFIGURATION = """\
listeners.tcp.1 = {address}:{amqp}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
loopback_users.{user} = true
disk_free_limit.absolute = 50MB
log.console = true
log.console.level = info
log.file = false
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a node listens on, all on the loopback interface."""

    amqp: int
    distribution: int
    epmd: int


class PortTaken(Exception):
    """Somebody else took a port between our look and the node's."""


def free_ports() -> Ports:
    """Three ports that nobody has at this moment."""
    sockets = [socket.socket() for _ in range(3)]
    try:
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))
    finally:
        for each in sockets:
            each.close()


def find_server() -> Path:
    """RabbitMQ's start script. Raises PartMissing, saying how to install it."""
    return _find("rabbitmq-server", _SERVER_PLACES)


def _find(program: str, places: tuple[str, ...]) -> Path:
    path = os.pathsep.join((*places, os.environ.get("PATH", os.defpath), _SYSTEM_PATH))
    found = shutil.which(program, path=path)
    if found is None:
        raise PartMissing(
            f"RabbitMQ is not installed ({program} was not found): apt-get install --no-install-recommends "
            "rabbitmq-server, or set [rabbit] to a broker that runs"
        )
    return Path(found)


class RabbitNode:
    """One node for one state folder; its queues outlive it."""

    def __init__(self, folder: StateFolder, records: Records) -> None:
        self._folder = folder
        self._state = folder.path
        self._home = folder.path / "rabbitmq"
        self._records = records
        self._parts: list[Part] = []
        self._at: tuple[Path, Path, Ports] | None = None  # once they are known
        self.version = ""

    async def start(self, report: Callable[[str], None], warn: Callable[[str], None]) -> RabbitSettings:
        """What reaches it. Raises PartMissing, PartFailed or LocalStackError."""
        server, epmd = find_server(), _find("epmd", _ERLANG_PLACES)
        _check_surroundings(self._state)
        self._home.mkdir(exist_ok=True)
        self._home.chmod(0o700)  # also one that a backup brought back otherwise
        self._take_over(warn)
        _keep_cookie(self._home / ".erlang.cookie")
        await asyncio.to_thread(_kill_strays, self._folder.id)
        report("starting RabbitMQ")
        for _ in range(TRIES):
            self._at = server, epmd, free_ports()
            try:
                return await self._start(*self._at)
            except PortTaken:
                await self.stop()
        raise PartFailed(f"RabbitMQ found its ports taken, {TRIES} times in a row.")

    @property
    def part(self) -> Part:
        """The node. Its epmd is missed by nobody: the node makes another when it needs one."""
        return self._parts[-1]

    async def start_again(self) -> None:
        """On the same ports, with its queues. Raises PartFailed."""
        assert self._at
        await self.stop()
        try:
            await self._start(*self._at)
        except PortTaken:
            raise PartFailed("RabbitMQ found its ports taken.") from None

    async def stop(self) -> None:
        """A node that is still starting would first finish that, or hang in it; it holds nothing yet."""
        while self._parts:
            await self._parts[-1].stop(STOP_GRACE if self.version else _STARTING_GRACE)
            self._parts.pop()
        await asyncio.to_thread(_kill_strays, self._folder.id)

    def _take_over(self, warn: Callable[[str], None]) -> None:
        """Leaves the queues of a copied folder to the original: they may have been copied while a node wrote to them."""
        data = self._home / "data"
        original = self._folder.original()
        if original and data.exists() and not self._folder.owns(self._home):
            aside = unused(self._home / "data.copied")
            data.rename(aside)
            warn(
                f"The queues of {original.path} stay with it: RabbitMQ begins without any here. What was copied is in {aside}."
            )
        self._folder.mark(self._home)

    async def _start(self, server: Path, epmd: Path, ports: Ports) -> RabbitSettings:
        settings = RabbitSettings(
            host=_LOOPBACK,
            port=ports.amqp,
            user=USER,
            password=self._kept("password", secrets.token_urlsafe(24)),
        )
        self._write_configuration(ports, settings.password)
        mapper = await self._spawn("epmd", [epmd, "-address", _LOOPBACK, "-port", str(ports.epmd)], ports)
        await self._settle(mapper)
        node = await self._spawn("RabbitMQ", [server], ports)
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._ready(settings, node, mapper)
        except TimeoutError:
            raise node.failure() from None
        return settings

    async def _settle(self, mapper: Part) -> None:
        """Gives epmd the moment it takes to find its port taken: a node takes seconds to stop again."""
        with suppress(TimeoutError):
            await asyncio.wait_for(mapper.process.wait(), _EPMD_SETTLES)
            raise PortTaken

    def _write_configuration(self, ports: Ports, password: str) -> None:
        text = _CONFIGURATION.format(address=_LOOPBACK, amqp=ports.amqp, user=USER, password=password)
        write_private(self._home / "rabbitmq.conf", text)
        write_private(self._home / "enabled_plugins", "[].\n")

    def _kept(self, name: str, fresh: str) -> str:
        """A value that must be the same at every start: the data were made with it."""
        path = self._home / name
        if not path.exists():
            write_private(path, fresh)
        return path.read_text(encoding="utf-8")

    async def _spawn(self, name: str, arguments: list[str | Path], ports: Ports) -> Part:
        part = await spawn(
            name,
            arguments,
            log=self._state / f"{name.lower()}.log",
            records=self._records,
            environment=self._environment(ports),
            cwd=self._home,
        )
        self._parts.append(part)
        return part

    def _environment(self, ports: Ports) -> dict[str, str]:
        """Everything the scripts would otherwise take from the system's places, and nothing from our own environment."""
        home = self._home
        node = self._kept("node", f"promise-pub-{secrets.token_hex(4)}@localhost")
        return {
            "PATH": os.pathsep.join((*_ERLANG_PLACES, os.environ.get("PATH", os.defpath), _SYSTEM_PATH)),
            "LANG": "C.UTF-8",
            "HOME": str(home),  # where Erlang looks for its cookie
            MARK: self._folder.id,
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, instead of waiting beside it
            "ERL_EPMD_ADDRESS": _LOOPBACK,
            "ERL_EPMD_PORT": str(ports.epmd),
            "ERL_CRASH_DUMP_SECONDS": "0",  # no dumps
            "RABBITMQ_NODENAME": node,
            "RABBITMQ_DIST_PORT": str(ports.distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(home / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(home / "schema"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(home / "pid"),
        }

    async def _ready(self, settings: RabbitSettings, node: Part, mapper: Part) -> None:
        """Waits until it serves our user. The listener opens last, so until then a look costs next to nothing."""
        while not await self._serves(settings):
            if mapper.ended or node.ended and _port_taken(self._state / "rabbitmq.log"):
                raise PortTaken
            if node.ended:
                raise node.failure()
            await asyncio.sleep(_POLL)

    async def _serves(self, settings: RabbitSettings) -> bool:
        """Asks the socket before aiormq, which logs every refusal."""
        with suppress(OSError, TimeoutError, aiormq.AMQPError):
            _, writer = await asyncio.open_connection(settings.host, settings.port)
            writer.close()
            async with asyncio.timeout(_LOGIN_TIMEOUT):
                self.version = await _log_in(settings)
            return True
        return False


async def _log_in(settings: RabbitSettings) -> str:
    """The broker's version, told at a connection."""
    connection = await aiormq.connect(
        URL.build(
            scheme="amqp",
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password,
            path="//",  # the vhost /
        )
    )
    try:
        return _text(connection.server_properties.get("version"))
    finally:
        await connection.close()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _kill_strays(folder_id: str) -> None:
    """A node whose epmd was killed makes another, which detaches itself: only its environment tells whose it is."""
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            if process.info["name"] == "epmd" and process.environ().get(MARK) == folder_id:
                process.kill()


def _check_surroundings(state: Path) -> None:
    """Raises LocalStackError for what a node would find out late, or say in Erlang."""
    if found := next((name for character, name in _UNUSABLE.items() if character in str(state)), None):
        raise LocalStackError(
            f"RabbitMQ cannot keep its data in a folder with {found} in its path: {state}. Name another one with --state, or "
            "set [rabbit] to a broker that runs."
        )
    files = allow_many_files()
    if files < _FILES:
        raise LocalStackError(
            f"RabbitMQ needs {_FILES} open files, and this process may have {files}: raise that limit (ulimit -n), or set "
            "[rabbit] to a broker that runs."
        )


def _keep_cookie(cookie: Path) -> None:
    """Writes the secret that lets others command the node, unless there is one of ours.

    Left to Erlang, it would be made of the nanoseconds since its start: about 28 bits, guessed within hours.
    """
    with suppress(FileNotFoundError):
        ours = len(cookie.read_bytes()) == 2 * _COOKIE_BYTES
        if ours and stat.S_IMODE(cookie.stat().st_mode) == _COOKIE_MODE:
            return
    write_private(cookie, secrets.token_hex(_COOKIE_BYTES), _COOKIE_MODE)


def _port_taken(log: Path) -> bool:
    words = " ".join(last_lines(log, 100)).lower()
    return "eaddrinuse" in words or "in use by" in words or "address already in use" in words
