"""Every command in README.md and docs/ does what the page says: run as a reader would, against real services."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from promise_pub.consumer.server import make_app
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings
from tests import consumer_parts, documents
from tests.consumer_parts import database_connection
from tests.documents import PAGES, Command
from tests.services import StartCommand
from tests.web_parts import ServerUnderTest, people, serving, settings, until

INSTALLS = "installs packages of the system"
WORD = "installs what it needs, and may take long: test_words.py runs it in a fresh clone"
SERVES = "serves until it is stopped"
NOT_RUN = {
    "apt-get update && apt-get install --no-install-recommends git make python3-venv": INSTALLS,
    "scripts/venv runtime": "installs packages, as each word does: test_words.py",
    ".venv/bin/python main.py": f"{SERVES}: tests/acceptance has it run",
    ".venv/bin/pip install ./runs-by-branch": "tests/integration/stats/test_first_statistic.py does, offline",
    "promise-pub stats rows --interval 1m --since 1h --watch": "redraws until it is stopped: integration/stats",
    "promise-pub stats keep": "counts until it is stopped: integration/stats",
    "promise-pub stats forget by-branch": "deletes a statistic that is not there: integration/stats",
    "make run": WORD,
    "make run ARGS='-c consumer.ini'": f"{SERVES}: test_local_stack.py has such a stack",
    "promise-pub -c consumer.ini serve --local &": f"{SERVES}: test_local_stack.py has such a stack",
    "promise-pub runs --watch": "shows runs until it is stopped: tests/unit/cli/test_watch.py",
    "make test": WORD,
    "make check": WORD,
    "make doc": WORD,
    "make lock": WORD,
    "make bench": WORD,
    "make bench-quick": WORD,
    "make reliability": WORD,
    "make soak": WORD,
    "scripts/bare 13 make test ARGS=tests/acceptance": "takes root, and makes a Debian in about a minute",
    "scripts/bare -u 12 make run": "takes root, and makes a Debian in about a minute",
}
"""Commands of the pages that are not run here, and why."""

EXAMPLE_RUN = "7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11"
EXAMPLE_RUN_OF_A_JOB = re.compile(r"(jobs show |jobs cancel |/jobs/usage/runs/)17\b")
WAITING_RUN = """
INSERT INTO job_runs (job, reason, arguments, state, attempt, not_before)
VALUES ('usage', 'retry', jsonb_build_object('start', $1::text), 'waiting', 2, now() + interval '1 hour') RETURNING id
"""
EXAMPLE_SESSION = "5f0c9a11-8f0c-4f6e-9d3c-2f1f4f0c9a11"
WITH_COMMANDS = [page for page in PAGES if {command.text for command in documents.commands(page)} - {*NOT_RUN}]
PATIENCE = 120  # seconds for one command
SLOWLY = 30  # rows a second

# `send`, and `runs` that acts, go to the usual address unless told otherwise; here the server has another.
PROMISE_PUB = """\
#!/bin/sh
case " $* " in
*" --server "*|*" --follow http"*) ;;
*" send "*|*" --resume "*|*" --cancel "*|*" --rows "*) set -- "$@" --server {server} ;;
esac
exec {python} -m promise_pub "$@" <{password}
"""
CURL = """\
#!/bin/sh
case " $* " in
*" --fail "*) exec {curl} "$@" ;;
esac
exec {curl} -sS --fail-with-body --max-time 60 "$@"
"""


class Reader:
    """A shell in a folder of its own, in which a page's commands are typed one after the other."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        folder: Path,
        server: ServerUnderTest,
        database: DatabaseSettings,
    ) -> None:
        self.folder = folder
        self._database = database
        self._process = process
        self._server = server

    async def type(self, command: str) -> tuple[int, str, str]:
        """The exit code of a command, and what it prints."""
        assert self._process.stdin and self._process.stdout
        mark, errors = uuid.uuid4().hex, self.folder / "errors"
        typed = f"{{ {command}\n}} </dev/null 2>{shlex.quote(str(errors))}; printf '\\n%s %s\\n' {mark} $?\n"
        self._process.stdin.write(typed.encode())
        output = await asyncio.wait_for(self._process.stdout.readuntil(f"{mark} ".encode()), PATIENCE)
        code = int(await self._process.stdout.readline())
        return code, output.decode().removesuffix(f"{mark} "), errors.read_text()

    async def adapt(self, command: str) -> str:
        """The command for a run as it takes: one that is going, that was cancelled, or that is complete."""
        if EXAMPLE_RUN_OF_A_JOB.search(command):
            return EXAMPLE_RUN_OF_A_JOB.sub(rf"\g<1>{await self._waiting_run_of_a_job()}", command)
        if EXAMPLE_RUN not in command:
            return command
        if re.search(r"--cancel|/cancel", command):
            run = await self._going(SLOWLY * PATIENCE)
        elif re.search(r"--resume|/resume", command):
            run = await self._cancelled()
        elif re.search(r"\bverify\b", command):
            run = await self._reported((self.folder / "data.csv").read_bytes())
        else:
            # What is sent again needs a row that was of no use to the consumer.
            content = people(3) + (b"Ann," + b"x" * 128 + b"\n" if "/again" in command else b"")
            run = (await self._server.send(content, "?mode=batch&timeout=0&clear=true")).json["id"]
        return command.replace(EXAMPLE_RUN, run)

    async def _waiting_run_of_a_job(self) -> int:
        """A next try that waits for an hour: it can be looked at, and cancelled."""
        async with database_connection(self._database) as connection:
            return int(await connection.fetchval(WAITING_RUN, uuid.uuid4().hex))

    async def _reported(self, content: bytes) -> str:
        """A run of this file, whose report is at hand."""
        run = str((await self._server.send(content, "?mode=batch&timeout=0&clear=true")).json["id"])
        report = (await self._server.get(f"/runs/{run}/report.json")).json
        (self.folder / f"report-{run}.json").write_text(json.dumps(report))
        return run

    async def _going(self, rows: int) -> str:
        headers = {"Prefer": "respond-async", "Accept": "application/json", "Content-Type": "text/csv"}
        path = f"/simulate/?filename=slow.csv&timeout=0&clear=true&rate={SLOWLY}"
        run = str((await self._server.ask("POST", path, data=people(rows), headers=headers)).json["id"])
        await until(lambda: self._is(run, "publishing"))
        return run

    async def _cancelled(self) -> str:
        run = await self._going(2 * SLOWLY)
        await self._server.ask("POST", f"/runs/{run}/cancel", headers={"Accept": "application/json"})
        await until(lambda: self._is(run, "cancelled"))
        return run

    async def _is(self, run: str, state: str) -> bool:
        return bool((await self._server.get(f"/runs/{run}?format=json")).json["state"] == state)


@asynccontextmanager
async def consuming(rabbit: RabbitSettings, database: DatabaseSettings) -> AsyncIterator[int]:
    """The bundled consumer; its port."""
    chosen = consumer_parts.settings_of(rabbit, database)
    runner = web.AppRunner(make_app(chosen), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=documents.shown)
async def test_the_commands_of_a_page_do_what_it_says(
    page: Path,
    rabbit: RabbitSettings,
    database: DatabaseSettings,
    start_process: StartCommand,
    settings_file: Callable[[Settings], Path],
    tmp_path: Path,
) -> None:
    auth = "users" if page.name == "security.md" else "off"
    async with consuming(rabbit, database) as port, AsyncExitStack() as stack:
        chosen = settings(rabbit, database, port, tmp_path, auth=auth)
        path = settings_file(chosen)
        server = await stack.enter_async_context(serving(chosen))
        known = {
            "http://localhost:8000": str(server.url),
            "https://promise.example": str(server.url),
            "http://127.0.0.1:8001": f"http://127.0.0.1:{port}",
            "amqp://guest:guest@127.0.0.1:5672/": consumer_parts.amqp_url(rabbit),
            ".venv/bin/python": sys.executable,
        }
        token = await a_token(start_process, path) if auth == "users" else ""
        environment = {"PROMISE_PUB_CONFIG": str(path), "TOKEN": token, "EDITOR": "true"}
        shell = await stack.enter_async_context(reader(page, tmp_path / "folder", environment, server, database))
        for command in documents.commands(page):
            if command.text not in NOT_RUN:
                text = command.text
                for shown, real in known.items():
                    text = text.replace(shown, real)
                check(command, await shell.type(await shell.adapt(text)))


def check(command: Command, said: tuple[int, str, str]) -> None:
    code, output, errors = said
    assert code == 0, (command.text, output, errors)
    if command.output is not None:
        assert re.fullmatch(documents.as_pattern(command.output), output.strip()), (command.text, output)


async def a_token(start_process: StartCommand, path: Path) -> str:
    command = await start_process("token", "add", "docs", "--role", "operator", "-c", path)
    assert await command.finish() == 0, command.output
    return command.output.split()[0]


@asynccontextmanager
async def reader(
    page: Path, folder: Path, environment: dict[str, str], server: ServerUnderTest, database: DatabaseSettings
) -> AsyncIterator[Reader]:
    """Has the files at hand that the pages speak of."""
    curl = shutil.which("curl")
    assert curl, "curl is missing: scripts/packages curl installs it"
    programs = folder / "programs"
    programs.mkdir(parents=True)
    password = folder / "password"
    password.write_text("a long enough password\n")
    values = {"server": server.url, "python": sys.executable, "password": password, "curl": curl}
    for name, text in (("promise-pub", PROMISE_PUB), ("curl", CURL)):
        (programs / name).write_text(text.format_map({key: shlex.quote(str(value)) for key, value in values.items()}))
        (programs / name).chmod(0o755)
    (folder / "data.csv").write_bytes(people(20))
    (folder / "people.csv").write_bytes("id;name;mail\n1;Zoë;zoe@example.com\n".encode("latin-1"))
    hit = f"2026-11-24T12:00:00Z,{EXAMPLE_SESSION},/runs"
    (folder / "hits.csv").write_text(f"at,session_id,page\n{hit}\n")
    (folder / ".local").mkdir()
    shutil.copy(environment["PROMISE_PUB_CONFIG"], folder / ".local" / "local.ini")
    for block in documents.blocks(page):
        if block.language == "python" and "import aio_pika" in block.text:
            (folder / "publish.py").write_text(block.text)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    process = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc"),
        cwd=folder,
        env={**environment, "PATH": path, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "LC_ALL": "C.UTF-8"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    try:
        yield Reader(process, folder, server, database)
    finally:
        assert process.stdin
        process.stdin.close()
        await asyncio.wait_for(process.wait(), PATIENCE)


def test_every_command_that_is_not_run_is_on_a_page() -> None:
    on_pages = {command.text for page in PAGES for command in documents.commands(page)}
    assert {*NOT_RUN} <= on_pages


async def test_every_metric_is_on_the_page_of_operations(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with serving(settings(rabbit, database, 1, tmp_path)) as server:
        figures = (await server.get("/metrics")).text
    families = set(re.findall(r"^# TYPE promise_pub_(\w+?)(?:_created)? ", figures, re.MULTILINE))
    page = (documents.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+?)(?:\{[\w,]+\})?`", page.split("## Metrics")[1].split("\n## ")[0]))
    assert families and families <= named
