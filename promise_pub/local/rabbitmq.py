"""A private RabbitMQ node, from the server that the system's packages installed.

It shares nothing with a broker that the machine may run: node name, ports, epmd, cookie and state are its own, and it
listens on the loopback interface only. epmd runs as our child, in the foreground: started by Erlang it would detach
itself and outlive the node.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from promise_pub.amqp.connection import connect
from promise_pub.errors import BrokerError, LocalStackError, PartFailed, PartMissing
from promise_pub.files import read_private, write_private
from promise_pub.local.parts import last_lines
from promise_pub.local.processes import STOP_GRACE, ProcessRecords
from promise_pub.local.service import LOOPBACK, Report, Service
from promise_pub.local.state_folder import StateFolder, unused
from promise_pub.resources import allow_many_files
from promise_pub.settings.model import RabbitSettings

USER = "promise_pub"
READY_TIMEOUT = 90.0  # seconds; four on an ordinary machine
TRIES = 4  # a port found free may be taken before the node has it
_LOGIN_TIMEOUT = 5.0  # seconds
_STARTING_GRACE = 1.0  # seconds
_EPMD_SETTLES = 0.1  # seconds; three milliseconds on an ordinary machine
_COOKIE_BYTES, _COOKIE_MODE = 32, 0o400
MARK = "PROMISE_PUB_FOLDER"  # in the environment of its processes: the id of the state folder
# RabbitMQ passes the path of its data to a shell, in quotes, to see how full the disk is.
_UNUSABLE = {"'": "an apostrophe", '"': "a quotation mark", "\n": "a line end"}
_PORT_TAKEN = ("eaddrinuse", "in use by", "address already in use")  # in the log of a node that ended
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
    """The ports that a node listens on, all on the loopback interface."""

    amqp: int
    distribution: int
    epmd: int


class PortTaken(Exception):
    """A port that another process took before the node did."""


def free_ports() -> Ports:
    """Returns three ports that are free at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


def find_server() -> Path:
    """Returns RabbitMQ's start script. Raises PartMissing, which says how to install it."""
    return _find("rabbitmq-server", _SERVER_PLACES)


def _find(program: str, places: tuple[str, ...]) -> Path:
    path = os.pathsep.join((*places, os.environ.get("PATH", os.defpath), _SYSTEM_PATH))
    found = shutil.which(program, path=path)
    if found is None:
        raise PartMissing(
            f"RabbitMQ is not installed ({program} was not found). Install it with: apt-get install "
            "--no-install-recommends rabbitmq-server, or set [rabbit] to a broker that runs."
        )
    return Path(found)


class RabbitNode(Service):
    """One node for one state folder."""

    def __init__(self, folder: StateFolder, records: ProcessRecords) -> None:
        super().__init__(folder, records)
        self._home = folder.path / "rabbitmq"

    async def start(self, report: Report, warn: Report) -> RabbitSettings:
        """Returns the node's address. Raises PartMissing, PartFailed or LocalStackError."""
        server, epmd = find_server(), _find("epmd", _ERLANG_PLACES)
        _check_surroundings(self._folder.path)
        self._home.mkdir(exist_ok=True)
        self._home.chmod(0o700)  # a backup may have restored it otherwise
        self._take_over(warn)
        _keep_cookie(self._home / ".erlang.cookie")
        await asyncio.to_thread(_kill_strays, self._folder.id)
        report("starting RabbitMQ")
        for _ in range(TRIES):
            ports = free_ports()
            try:
                settings = await self._serve(server, epmd, ports)
            except PortTaken:
                await self.stop()
            else:
                self._restart = partial(self._serve_again, server, epmd, ports)
                return settings
        raise PartFailed(f"RabbitMQ found its ports taken, {TRIES} times in a row.")

    async def stop(self) -> None:
        # A node that is still starting would first finish that, or hang in it. It holds no data yet.
        await self._stop_parts(STOP_GRACE if self.version else _STARTING_GRACE)
        await asyncio.to_thread(_kill_strays, self._folder.id)

    def _take_over(self, warn: Report) -> None:
        """Leaves the queues of a copied folder to the original: they may have been copied while a node wrote to them."""
        data = self._home / "data"
        original = self._folder.original()
        if original and data.exists() and not self._folder.owns(self._home):
            aside = unused(self._home / "data.copied")
            data.rename(aside)
            warn(
                f"The queues of {original.path} stay there, and RabbitMQ begins without any here. The copy is in {aside}."
            )
        self._folder.mark(self._home)

    async def _serve_again(self, server: Path, epmd: Path, ports: Ports) -> None:
        await self.stop()
        try:
            await self._serve(server, epmd, ports)
        except PortTaken:
            raise PartFailed("RabbitMQ found its ports taken.") from None

    async def _serve(self, server: Path, epmd: Path, ports: Ports) -> RabbitSettings:
        """Starts epmd and the node. Raises PortTaken, or PartFailed."""
        password = self._keep("password", secrets.token_urlsafe(24))
        settings = RabbitSettings(host=LOOPBACK, port=ports.amqp, user=USER, password=password)
        text = _CONFIGURATION.format(address=LOOPBACK, amqp=ports.amqp, user=USER, password=password)
        write_private(self._home / "rabbitmq.conf", text)
        write_private(self._home / "enabled_plugins", "[].\n")
        environment = self._environment(ports)
        command: list[str | Path] = [epmd, "-address", LOOPBACK, "-port", str(ports.epmd)]
        mapper = await self._start_part("epmd", command, environment, self._home)
        with suppress(TimeoutError):  # the moment it takes to find its port taken: a node takes seconds to stop again
            await asyncio.wait_for(mapper.process.wait(), _EPMD_SETTLES)
            raise PortTaken
        node = await self._start_part("RabbitMQ", [server], environment, self._home)

        async def ready() -> bool:
            if await self._answers(settings):
                return True
            log = " ".join(last_lines(self._folder.path / "rabbitmq.log", 100)).lower() if node.ended else ""
            if mapper.ended or any(words in log for words in _PORT_TAKEN):
                raise PortTaken
            return False

        await node.wait_until(ready, READY_TIMEOUT)
        return settings

    async def _answers(self, settings: RabbitSettings) -> bool:
        """Logs in. Asks the socket first, because aiormq logs every refusal; the node opens it last."""
        with suppress(OSError, TimeoutError, BrokerError):
            _, writer = await asyncio.open_connection(settings.host, settings.port)
            writer.close()
            async with asyncio.timeout(_LOGIN_TIMEOUT), connect(settings) as connection:
                version = connection.server_properties.get("version")
                self.version = version.decode() if isinstance(version, bytes) else str(version)
            return True
        return False

    def _keep(self, name: str, fresh: str) -> str:
        """Returns a value that must be the same at every start, because the data were made with it."""
        path = self._home / name
        if not path.exists():
            write_private(path, fresh)
        return read_private(path)

    def _environment(self, ports: Ports) -> dict[str, str]:
        """Returns all that the scripts would otherwise take from the system's places, and nothing of our environment."""
        home = self._home
        node = self._keep("node", f"promise-pub-{secrets.token_hex(4)}@localhost")
        return {
            "PATH": os.pathsep.join((*_ERLANG_PLACES, os.environ.get("PATH", os.defpath), _SYSTEM_PATH)),
            "LANG": "C.UTF-8",
            "HOME": str(home),  # where Erlang looks for its cookie
            MARK: self._folder.id,
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, instead of waiting beside it
            "ERL_EPMD_ADDRESS": LOOPBACK,
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


def _kill_strays(folder_id: str) -> None:
    """Kills epmds that detached themselves: a node whose epmd was killed starts such a one. Its environment is marked."""
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            if process.info["name"] == "epmd" and process.environ().get(MARK) == folder_id:
                process.kill()


def _check_surroundings(state: Path) -> None:
    """Raises LocalStackError for faults that a node would report late, or in Erlang."""
    if found := next((name for character, name in _UNUSABLE.items() if character in str(state)), None):
        raise LocalStackError(
            f"RabbitMQ cannot keep its data in a folder with {found} in its path: {state}. Name another one with --state, or "
            "set [rabbit] to a broker that runs."
        )
    files = allow_many_files()
    if files < _FILES:
        raise LocalStackError(
            f"RabbitMQ needs {_FILES} open files, and this process may have {files}. Raise that limit (ulimit -n), or set "
            "[rabbit] to a broker that runs."
        )


def _keep_cookie(cookie: Path) -> None:
    """Writes the secret that lets others command the node, unless there is one of ours.

    Erlang would make it of the nanoseconds since its start: about 28 bits, guessed within hours.
    """
    with suppress(FileNotFoundError):
        facts = cookie.stat()
        long_enough = len(cookie.read_bytes()) == 2 * _COOKIE_BYTES
        if long_enough and facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) == _COOKIE_MODE:
            return
    write_private(cookie, secrets.token_hex(_COOKIE_BYTES), _COOKIE_MODE)
