"""All of it as processes, each link a line: what can be killed, cut off and started again."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from promise_pub import db
from promise_pub.resources import allow_many_files
from promise_pub.settings import inifile
from promise_pub.settings.model import ConsumerSettings, ServerSettings, Settings
from tests import services
from tests.consumer_parts import ROOT
from tests.faults.lines import Line, line_to
from tests.faults.parts import PATIENCE, BrokerPart, CommandPart, DatabasePart
from tests.services import RunningCommand

POLL = 0.03  # seconds
QUEUE = "promise-pub.journal"  # of the bus
FINAL = ("completed", "failed", "cancelled", "interrupted")
SOME = 100_000  # bytes to the broker: some 400 rows
JSON = {"Accept": "application/json"}
SERVES = r"^promise-pub .* on http"  # what a server prints when it takes requests
# `mail` is UNIQUE in employees, so a row saved twice leaves no trace there: every insert that was committed leaves one
# here, of rows that were deleted or changed since as well.
_EVERY_INSERT = (
    "CREATE TABLE every_insert (id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL, mail TEXT NOT NULL)",
    """
    CREATE FUNCTION note_insert() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO every_insert (name, mail) VALUES (NEW.name, NEW.mail); RETURN NULL; END $$
    """,
    "CREATE TRIGGER note_insert AFTER INSERT ON employees FOR EACH ROW EXECUTE FUNCTION note_insert()",
)

# main.py with the limit of open files that a login shell or systemd usually gives.
_WITH_FEW_FILES = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sys.argv[0] = {str(ROOT / "main.py")!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Report = dict[str, Any]


class World:
    """The server with everything it needs, and every link between them.

    `lines` are named as in `server-broker`. `parts` are `server`, `consumer`, `broker` and `database`: each can be
    killed and started again.
    """

    def __init__(self, folder: Path, http: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.uploads = folder / "uploads"
        self.broker = BrokerPart(folder)
        self.database = DatabasePart(folder)
        self.server = CommandPart(self._start_server, SERVES)
        self.consumer = CommandPart(self._start_consumer, r"^listening on")
        self.parts: dict[str, Any] = {
            "server": self.server,
            "consumer": self.consumer,
            "broker": self.broker,
            "database": self.database,
        }
        self.lines: dict[str, Line] = {}
        self.server_port, self.consumer_port = _free_port(), _free_port()
        self.server_options: dict[str, Any] = {}
        self.server_features: dict[str, Any] = {}
        """The settings of features in the server's configuration, by section."""
        self.headers: dict[str, str] = dict(JSON)
        """The headers of every request, such as the token of an operator."""
        self.resumed: set[str] = set()  # runs that more than one process, or turn, has published
        self.widowed: set[str] = set()  # queues whose consumer was killed
        self.undone: set[str] = set()  # queues that a broker which was killed may have again, though deleted
        self._http = http

    @property
    def has_bus(self) -> bool:
        return "bus" in self.server_features

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    async def open_consumer(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.consumer_port)

    def settings(self, side: str) -> Settings:
        """As the server's or the consumer's side sees the others: through its own lines."""
        lines = self.lines
        consumer_port = lines["server-consumer"].port if side == "server" else self.consumer_port
        return Settings(
            server=ServerSettings(port=self.server_port, uploads=self.uploads, **self.server_options),
            rabbit=replace(
                self.broker.settings,
                host="127.0.0.1",
                port=lines[f"{side}-broker"].port,
                heartbeat=2,
            ),
            consumer=ConsumerSettings(
                host="127.0.0.1",
                port=consumer_port,
                connect_timeout=2,
                answer_timeout=4,
                stall_timeout=10,
            ),
            database=replace(self.database.settings, host="127.0.0.1", port=lines[f"{side}-database"].port),
            features=self.server_features if side == "server" else {},
        )

    async def _start_server(self) -> RunningCommand:
        return await self._serve(self._configuration("server"))

    async def _serve(self, path: Path) -> RunningCommand:
        environment = self.server.environment
        return await services.start_command(("-c", path), environment, self.folder, ("-c", _WITH_FEW_FILES))

    @asynccontextmanager
    async def second_server(self) -> AsyncIterator[tuple[CommandPart, str]]:
        """Another server with all but the port of the first one; and its address."""
        settings = self.settings("server")
        own = replace(settings.server, port=_free_port())
        path = self.folder / "second.ini"
        inifile.write(path, replace(settings, server=own))
        part = CommandPart(lambda: self._serve(path), SERVES)
        try:
            await part.start()
            yield part, f"http://127.0.0.1:{own.port}"
        finally:
            await part.clean_up()

    async def _start_consumer(self) -> RunningCommand:
        path = self._configuration("consumer")
        environment = self.consumer.environment
        if program := self.consumer.program:
            return await services.start_command((), environment, self.folder, program)
        return await services.start_command(("consumer", "-c", path), environment, self.folder)

    def _configuration(self, side: str) -> Path:
        path = self.folder / f"{side}.ini"
        inifile.write(path, self.settings(side))
        return path

    async def heal(self) -> None:
        """Every line flows, and every part runs."""
        for line in self.lines.values():
            line.heal()
        for part in ("consumer", "server"):
            command = self.parts[part].command
            if command is None or command.returncode is not None:
                await self.parts[part].start()

    async def kill(self, part: str) -> None:
        """kill -9."""
        if part == "broker":
            self.undone |= await self.removed_sessions()
        await self.parts[part].kill()
        if part == "consumer":
            await self.widow()

    async def removed_sessions(self) -> set[str]:
        """Those of runs that completed."""
        found = await self.database.fetch("SELECT session->>'uuid' AS uuid FROM runs WHERE state = 'completed'")
        return {row["uuid"] for row in found}

    async def widow(self) -> None:
        """The consumer's process is gone, and its sessions with it: nobody deletes their queues before they expire."""
        self.widowed |= set(await self.broker.queues())

    async def consumer_knows(self, uuid: str) -> bool:
        """Whether the bundled consumer has a session of that name, asked past every line."""
        url = f"http://127.0.0.1:{self.consumer_port}/getSession/"
        async with self._http.get(url, params={"uuid": uuid}) as answer:
            return await answer.text() != "Not a valid uuid"

    async def until_removed(self, uuid: str) -> None:
        """A session that whoever had it has asked to be removed."""
        async with asyncio.timeout(PATIENCE):
            while await self.consumer_knows(uuid):  # noqa: ASYNC110  it is in another process
                await asyncio.sleep(POLL)

    async def reopen(self, features: dict[str, Any] | None = None, **options: Any) -> None:
        """Stops the server and starts it with these options, and these settings of features."""
        await self.server.stop()
        self.server_options, self.server_features = options, features or {}
        await self.server.start()

    async def restart(self, part: str) -> None:
        """kill -9, and start it again."""
        await self.kill(part)
        await self.parts[part].start()

    # What a client does.

    async def ask(self, method: str, path: str, **arguments: Any) -> tuple[int, Any]:
        """Status and JSON; tried again while the server is away."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with self._http.request(
                        method, f"{self.url}{path}", headers=self.headers, **arguments
                    ) as answer:
                        return answer.status, await answer.json(content_type=None)
                await asyncio.sleep(POLL)

    async def send(self, content: bytes | AsyncIterator[bytes], server: str = "", **parameters: Any) -> str:
        """Starts a run, at the server of another address if one is given; its id.

        On a connection of its own: one that was kept may just have been closed as idle, and a file is not sent twice.
        """
        headers = {**self.headers, "Prefer": "respond-async", "Content-Type": "text/csv"}
        url = f"{server or self.url}/simulate/"
        query = {name: str(value) for name, value in parameters.items()}
        async with aiohttp.ClientSession(timeout=self._http.timeout) as own:
            async with own.post(url, data=content, params=query, headers=headers) as answer:
                assert answer.status == 202, await answer.text()
                return str((await answer.json())["id"])

    async def send_some(self, content: bytes, **parameters: Any) -> str:
        """Starts a run that stands still in the midst of publishing, with rows confirmed and rows on their way.

        It goes on when `go_on` is called: whatever is to happen to it there does, however slow the machine is.
        """
        line = self.lines["server-broker"]
        line.hold_after(SOME)
        run_id = await self.send(content, **parameters)
        await line.until(lambda: line.held > 0)
        await self.until(run_id, lambda run: run["rows"]["confirmed"] > 300)
        return run_id

    def go_on(self) -> None:
        self.lines["server-broker"].flow()

    async def runs(self) -> int:
        """How many there are, whatever became of them."""
        (row,) = await self.database.fetch("SELECT count(*) FROM runs")
        return int(row["count"])

    async def report(self, run_id: str) -> Report:
        """The run, as soon as anybody can tell."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, told = await self.ask("GET", f"/runs/{run_id}")
                if status == 200:
                    return dict(told)
                await asyncio.sleep(POLL)

    async def until(self, run_id: str, true: Callable[[Report], Any], within: float = PATIENCE) -> Report:
        """The report, once something is true of it."""
        report: Report = {}
        try:
            async with asyncio.timeout(within):
                while not true(report := await self.report(run_id)):  # noqa: ASYNC110  it is in another process
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise AssertionError(
                f"it did not come to that: {json.dumps(report)}\nserver:\n{self.server.output}\n"
                f"consumer:\n{self.consumer.output}"
            ) from None
        return report

    async def ended(self, run_id: str) -> Report:
        return await self.until(run_id, lambda run: run["state"] in FINAL)

    async def concluded(self, run_id: str) -> tuple[Report, int]:
        """The run once it is completed, resumed as often as it takes; and how often that was."""
        for resumed in range(5):
            report = await self.ended(run_id)
            if report["state"] == "completed":
                return report, resumed
            assert report["error"]["message"], report
            await self.resume(run_id)
        raise AssertionError(f"it was resumed five times and did not complete: {report}")

    async def resume(self, run_id: str) -> None:
        """Until the server takes it: its end may not be recorded yet."""
        self.resumed.add(run_id)
        async with asyncio.timeout(PATIENCE):
            while True:
                status, told = await self.ask("POST", f"/runs/{run_id}/resume")
                if status == 202:
                    return
                assert status in (409, 503), told
                await asyncio.sleep(0.2)


async def until_files(world: World, suffix: str, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(list(world.uploads.glob(f"*{suffix}"))) != count:  # noqa: ASYNC110  another process makes them
            await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Everything started, and everything stopped."""
    allow_many_files()  # the clients are here
    await asyncio.to_thread(folder.mkdir, 0o700)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)))
        world = World(folder, http)
        for part in (world.database, world.broker):
            stack.push_async_callback(part.stop)
            await part.start()
        async with db.open_pool(world.database.settings, max_size=1) as pool:
            await db.apply_scheme(pool)
        for statement in _EVERY_INSERT:
            await world.database.fetch(statement)
        targets = {
            "server-broker": world.broker.open,
            "server-consumer": world.open_consumer,
            "server-database": world.database.open,
            "consumer-broker": world.broker.open,
            "consumer-database": world.database.open,
        }
        for name, target in targets.items():
            world.lines[name] = await stack.enter_async_context(line_to(target))
        for command in (world.consumer, world.server):
            stack.push_async_callback(command.clean_up)
            await command.start()
        yield world
