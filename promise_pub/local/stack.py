"""The life of the local stack: its services start in order, and all of them stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from promise_pub import db
from promise_pub.addresses import http_url, join_host_port
from promise_pub.errors import LocalStackError
from promise_pub.local.bundled_consumer import BundledConsumer
from promise_pub.local.postgres import Postgres
from promise_pub.local.postgres_home import check_accounts
from promise_pub.local.processes import ProcessRecords
from promise_pub.local.rabbitmq import RabbitNode
from promise_pub.local.service import Report, Service, keep_running
from promise_pub.local.state_folder import InUse, StateFolder, check_owner, close, lock, recognise
from promise_pub.settings import inifile, model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import Settings

SETTINGS_FILE = "local.ini"

_PLACEHOLDERS: Values = {
    "rabbit": {"host": "127.0.0.1"},
    "consumer": {"host": "127.0.0.1", "port": "0"},
    "database": {"dbname": "-", "user": "-", "password": "-"},
}
# The options that a service started here sets. Others that were configured, such as a timeout, stay.
_ADDRESS = ("host", "port", "dbname", "user", "password", "vhost", "ssl", "token")


class LocalStack:
    """The services for sections of the configuration that lack a mandatory value, run in and from the folder `state`.

    The block gets the complete settings. When it ends, or the start fails, all that was started stops; the data stay
    for the next time. `report` shows progress, `warn` shows what happened to data that are not where, or whose, people
    may expect. `with_broker` are options that are set besides where a broker is started, unless they are configured.
    Raises PartMissing, PartFailed, or LocalStackError when the folder is in use, or another user's.
    """

    def __init__(
        self,
        state: Path,
        values: Values,
        sections: model.Sections = model.SECTIONS,
        with_broker: Values | None = None,
        *,
        report: Report,
        warn: Report,
    ) -> None:
        self._state = state.expanduser().absolute()
        self._values = {section: dict(given) for section, given in values.items()}
        self._sections = sections
        self._with_broker = with_broker or {}
        self._missing = model.unset_sections(values)
        self._report = report
        self._warn = warn
        self._open = AsyncExitStack()
        self._settings: Settings | None = None
        self._lines: dict[str, str] = {}
        self._services: list[Service] = []

    @property
    def started(self) -> Sequence[str]:
        """A line for people about each service that was started here."""
        return [self._lines[section] for section in self._missing if section in self._lines]

    async def __aenter__(self) -> Settings:
        try:
            self._settings = await self._start()
        except BaseException:
            await _finish(self._open.aclose())
            raise
        return self._settings

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._report("stopping")
        finally:  # the report fails when its terminal was closed
            await _finish(self._open.aclose())

    def publish_settings(self, port: int) -> None:
        """Writes the configuration in effect to `local.ini`, with the web server's real port, until the stack stops."""
        if self._settings is None:
            raise LocalStackError("The local stack has not started.")
        server = replace(self._settings.server, port=port)
        inifile.write(self._state / SETTINGS_FILE, replace(self._settings, server=server))

    async def keep_running(self) -> None:
        """Restarts every service that ends, at the same address. Returns at once if none was started here.

        Raises PartFailed when a service does not stay up.
        """
        await _run_together(keep_running(service) for service in self._services)

    async def _start(self) -> Settings:
        # Raises for a mistake in the configuration before anything starts.
        complete = self._with_placeholders()
        settings = model.cast(complete, self._sections, connects="consumer" not in self._missing)
        if "database" in self._missing:
            check_accounts(settings.server)
        try:
            folder = self._prepare_folder()
            records = ProcessRecords(self._state / "processes.json")
            if left := await records.stop_leftovers():
                self._report(f"stopped processes that an earlier start left behind: {', '.join(left)}")
            starts = {"database": self._start_database, "rabbit": self._start_broker}
            await _run_together(starts[section](folder, records) for section in starts.keys() & set(self._missing))
            if "consumer" in self._missing:
                await self._start_consumer(folder, records)
        except OSError as error:
            raise LocalStackError(f"The local stack cannot start in {self._state}: {error}") from error
        return model.cast(self._values, self._sections)

    def _prepare_folder(self) -> StateFolder:
        if any("\udc80" <= character <= "\udcff" for character in str(self._state)):
            raise LocalStackError(
                f"The path {str(self._state)!r} is not UTF-8, which the services need. Name another folder with --state."
            )
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(self._state)
        close(self._state)
        try:
            self._open.callback(lock(self._state))
        except InUse:
            raise LocalStackError(
                f"{self._state}: another serve --local is running there. Stop it, or name another folder with --state."
            ) from None
        folder = recognise(self._state)
        settings_file = self._state / SETTINGS_FILE
        settings_file.unlink(missing_ok=True)
        self._open.callback(settings_file.unlink, missing_ok=True)
        return folder

    async def _start_database(self, folder: StateFolder, records: ProcessRecords) -> None:
        server = Postgres(folder, records)
        settings = await self._start_service("database", server, server.start(self._report, self._warn))
        async with db.open_pool(settings, max_size=1) as pool:
            await db.apply_scheme(pool)
        self._lines["database"] = f"PostgreSQL {server.version} on {settings.host}"

    async def _start_broker(self, folder: StateFolder, records: ProcessRecords) -> None:
        node = RabbitNode(folder, records)
        settings = await self._start_service("rabbit", node, node.start(self._report, self._warn))
        for section, options in self._with_broker.items():
            self._values[section] = {**options, **self._values.get(section, {})}
        self._lines["rabbit"] = f"RabbitMQ {node.version} on {join_host_port(settings.host, settings.port)}"

    async def _start_consumer(self, folder: StateFolder, records: ProcessRecords) -> None:
        consumer = BundledConsumer(folder, records)
        starting = consumer.start(model.cast(self._with_placeholders()), self._report)
        settings = await self._start_service("consumer", consumer, starting)
        self._lines["consumer"] = f"bundled consumer on {http_url(settings.host, settings.port)}"

    async def _start_service(self, section: str, service: Service, starting: Coroutine[Any, Any, Any]) -> Any:
        """Returns the settings of a service that starts, and completes the configuration with its address."""
        self._open.push_async_callback(service.stop)
        settings = await starting
        self._services.append(service)
        address = {name: value for name, value in inifile.options(settings).items() if name in _ADDRESS}
        self._values[section] = {**self._values.get(section, {}), **address}
        return settings

    def _with_placeholders(self) -> Values:
        """Returns the configuration as if everything had started, for those that need it complete before."""
        complete = dict(self._values)
        for section in self._missing:
            given = self._values.get(section, {})
            set_here = {name: value for name, value in given.items() if value.strip()}
            complete[section] = {**_PLACEHOLDERS[section], **set_here}
        return complete


async def _run_together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs them until all are done. The first that fails stops the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _finish(work: Coroutine[Any, Any, None]) -> None:
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
