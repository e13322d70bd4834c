"""The life of the local stack: what starts, in which order, and that all of it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from promise_pub import db
from promise_pub.addresses import place, url
from promise_pub.errors import LocalStackError
from promise_pub.local import inifile
from promise_pub.local.bundled_consumer import BundledConsumer
from promise_pub.local.postgres import Postgres
from promise_pub.local.processes import Records
from promise_pub.local.rabbitmq import RabbitNode
from promise_pub.local.state_folder import InUse, StateFolder, check_owner, lock, recognise
from promise_pub.local.watch import Service, keep_up
from promise_pub.settings import model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import Settings

SETTINGS_FILE = "local.ini"

_PLACEHOLDERS: Values = {
    "rabbit": {"host": "127.0.0.1"},
    "consumer": {"host": "127.0.0.1", "port": "0"},
    "database": {"dbname": "-", "user": "-", "password": "-"},
}


class LocalStack:
    """Starts the sections of the configuration that lack a mandatory value, in and from the folder `state`.

    The block gets the complete settings. Afterwards nothing of it runs, however the block, or the start, ended; the
    data stay for the next time. `report` is told what goes on, in a few words, `warn` what became of data that are not
    where, or whose, people may think. `started` says what was started.
    Raises PartMissing, PartFailed, or LocalStackError when the folder is in use, or another's.
    """

    def __init__(
        self,
        state: Path,
        values: Values,
        sections: model.Sections = model.SECTIONS,
        *,
        report: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._state = state.expanduser().absolute()
        self._values = {section: dict(given) for section, given in values.items()}
        self._sections = sections
        self._missing = model.unset_sections(values)
        self._report = report
        self._warn = warn
        self._open = AsyncExitStack()
        self._settings: Settings | None = None
        self._lines: dict[str, str] = {}
        self._services: list[Service] = []

    @property
    def started(self) -> Sequence[str]:
        """A line for people about each part that was started here."""
        return [self._lines[section] for section in self._missing if section in self._lines]

    async def __aenter__(self) -> Settings:
        try:
            self._settings = await self._start()
        except BaseException:
            await _whatever_happens(self._open.aclose())
            raise
        return self._settings

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._report("stopping")
        finally:  # a report may fail: its terminal can be gone
            await _whatever_happens(self._open.aclose())

    def publish_settings(self, port: int) -> None:
        """Writes the configuration in effect to `local.ini`, with the web server's real port. It goes with the stack."""
        if self._settings is None:
            raise LocalStackError("The local stack has not started.")
        server = replace(self._settings.server, port=port)
        inifile.write(self._state / SETTINGS_FILE, replace(self._settings, server=server))

    async def look_after(self) -> None:
        """Starts again whatever ends, at the same addresses. Returns where nothing was started here.

        Raises PartFailed when a part does not stay up.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for service in self._services:
                    group.create_task(keep_up(service))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _start(self) -> Settings:
        # A mistake in what is configured shows before anything starts.
        model.cast(self._with_placeholders(), self._sections, talks="consumer" not in self._missing)
        try:
            folder = self._prepare_folder()
            records = Records(self._state / "processes.json")
            if left := await records.stop_leftovers():
                self._report(f"stopped what an earlier start left behind: {', '.join(left)}")
            await self._start_services(folder, records)
            if "consumer" in self._missing:
                await self._start_consumer(records)
        except OSError as error:
            raise LocalStackError(f"The local stack cannot start in {self._state}: {error}") from error
        return model.cast(self._values, self._sections)

    def _prepare_folder(self) -> StateFolder:
        if any("\udc80" <= character <= "\udcff" for character in str(self._state)):
            raise LocalStackError(
                f"The path {str(self._state)!r} is not UTF-8, which the parts need: name another folder with --state."
            )
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(self._state)
        try:
            self._open.callback(lock(self._state))
        except InUse:
            raise LocalStackError(
                f"{self._state}: another serve --local is running there; stop it, or name another folder with --state"
            ) from None
        folder = recognise(self._state)
        settings_file = self._state / SETTINGS_FILE
        settings_file.unlink(missing_ok=True)
        self._open.callback(settings_file.unlink, missing_ok=True)
        return folder

    async def _start_services(self, folder: StateFolder, records: Records) -> None:
        starts = {"database": self._start_database, "rabbit": self._start_broker}
        try:
            async with asyncio.TaskGroup() as group:
                for section in starts.keys() & set(self._missing):
                    group.create_task(starts[section](folder, records))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the first is the reason; the other part was stopped for it

    async def _start_database(self, folder: StateFolder, records: Records) -> None:
        server = Postgres(folder, records)
        self._open.push_async_callback(server.stop)
        settings = await server.start(self._report, self._warn)
        async with db.open_pool(settings, max_size=1) as pool:
            await db.apply_scheme(pool)
        self._services.append(server)
        self._complete("database", settings, "host", "port", "dbname", "user", "password", "ssl")
        self._lines["database"] = f"PostgreSQL {server.version} on {settings.host}"

    async def _start_broker(self, folder: StateFolder, records: Records) -> None:
        node = RabbitNode(folder, records)
        self._open.push_async_callback(node.stop)
        settings = await node.start(self._report, self._warn)
        self._services.append(node)
        self._complete("rabbit", settings, "host", "port", "user", "password", "vhost", "ssl")
        self._lines["rabbit"] = f"RabbitMQ {node.version} on {place(settings.host, settings.port)}"

    async def _start_consumer(self, records: Records) -> None:
        consumer = BundledConsumer(self._state, records)
        self._open.push_async_callback(consumer.stop)
        settings = await consumer.start(model.cast(self._with_placeholders()), self._report)
        self._services.append(consumer)
        self._complete("consumer", settings, "host", "port")
        self._lines["consumer"] = f"bundled consumer on {url(settings.host, settings.port)}"

    def _complete(self, section: str, settings: Any, *names: str) -> None:
        """Sets what reaches the part; what was configured besides, such as a timeout, stays."""
        reached = inifile.options(settings)
        self._values[section] = {
            **self._values.get(section, {}),
            **{name: reached[name] for name in names},
        }

    def _with_placeholders(self) -> Values:
        """The configuration as if everything had started: for what needs it whole before it is."""
        complete = dict(self._values)
        for section in self._missing:
            given = self._values.get(section, {})
            set_here = {name: value for name, value in given.items() if value.strip()}
            complete[section] = {**_PLACEHOLDERS[section], **set_here}
        return complete


async def _whatever_happens(work: Coroutine[Any, Any, None]) -> None:
    """Ends the work before it gives way to a cancellation: an impatient second Ctrl-C must not leave processes."""
    task = asyncio.create_task(work)
    cancelled = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled
