"""The command line. It prints, and nothing else does."""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from yarl import URL

from promise_pub import __version__, app, config, db
from promise_pub.consumer import server as consumer_server
from promise_pub.delivery.ledger import Ledger
from promise_pub.errors import BadParameter, ConfigurationError, PromisePubError
from promise_pub.local.stack import LocalStack
from promise_pub.records import SUMMARY, RunReport
from promise_pub.web.forms import parse_parameters
from promise_pub.web.remote import Json, RemoteServer, open_remote

OK, FAILED, USAGE, PROMISE_BROKEN = 0, 1, 2, 3
HISTORY = 50  # runs that `runs` lists

_COLUMNS = ("id", "created_at", "file", "mode", "state", "verdict", "sent", "received", "saved")
_UNBOUND = 200  # columns of a table that goes to a file or a pipe
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
# They log as errors, with tracebacks, what is reported in better words anyway, or what strangers send.
_CHATTY = ("aiormq", "aio_pika", "asyncio", "asyncpg", "aiohttp.server")

Command = Callable[[argparse.Namespace], Awaitable[int]]
out = Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUND)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 success, 1 any other error, 2 configuration or usage."""
    options = _parser().parse_args(arguments)
    _set_up_logging(options)
    try:
        code = asyncio.run(_until_signal(options.command(options)))
        sys.stdout.flush()
        return code
    except PromisePubError as error:
        _complain(options, error, error.message.splitlines())
        return USAGE if isinstance(error, ConfigurationError | BadParameter) else FAILED
    except BrokenPipeError:
        _drop_output()  # whoever read it has gone
        return FAILED
    except OSError as error:
        _complain(options, error, [f"the system refused: {error}"])
        _drop_output()
        return FAILED
    except Exception as error:  # noqa: BLE001  the last resort of a command line: one line, and -v for more
        _complain(
            options, error, [f"failed for a reason nobody foresaw: {error!r} (-v shows where)"]
        )
        return FAILED


def _drop_output() -> None:
    """Points the output elsewhere, so that closing it does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(options: argparse.Namespace, error: Exception, lines: Sequence[str]) -> None:
    if options.verbose:
        traceback.print_exception(error)
    for line in lines:
        print(f"promise-pub: {line}", file=sys.stderr)


async def _until_signal(command: Awaitable[int]) -> int:
    """SIGINT and SIGTERM end a command once; what it has opened is closed before the process ends."""
    task = asyncio.ensure_future(command)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        if not signalled:  # a second Ctrl-C must not interrupt the closing
            signalled = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if signalled:
            return OK
        raise


def _set_up_logging(options: argparse.Namespace) -> None:
    level = -1 if options.quiet else min(options.verbose, 2)
    logging.basicConfig(
        level=_LEVELS[level], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in _CHATTY if level < 2 else ():
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def _serve(options: argparse.Namespace) -> int:
    async with AsyncExitStack() as stack:
        local = await _start_local(stack, options) if options.local else None
        settings = local[1] if local else config.load(options.config)
        url = await stack.enter_async_context(app.running(settings))
        if local:
            local[0].publish_settings(URL(url).port or 0)
        print(f"promise-pub {__version__} on {url}", flush=True)
        await asyncio.Event().wait()
    return OK


async def _start_local(
    stack: AsyncExitStack, options: argparse.Namespace
) -> tuple[LocalStack, config.Settings]:
    path = config.find(options.config, os.environ, search=False)
    values = config.read(path, os.environ)
    with err.status("starting") as status:
        local = LocalStack(
            options.state, values, report=lambda text: _report(status, options, text)
        )
        settings = await stack.enter_async_context(local)
    if not options.quiet:
        for line in local.started:
            print(line, flush=True)
    return local, settings


def _report(status: Any, options: argparse.Namespace, text: str) -> None:
    status.update(text)
    if not err.is_terminal and not options.quiet:
        print(text, file=sys.stderr, flush=True)


async def _consumer(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    await consumer_server.serve(
        settings, on_ready=lambda url: print(f"listening on {url}", flush=True)
    )
    return OK


async def _schema(options: argparse.Namespace) -> int:
    if not options.apply:
        print(db.scheme(), end="")
        return OK
    settings = config.load(options.config)
    async with db.open_pool(settings.database, max_size=1) as pool:
        await db.apply_scheme(pool)
    if not options.quiet:
        print(f"The tables are in {settings.database.dbname} on {settings.database.host}.")
    return OK


async def _runs(options: argparse.Namespace) -> int:
    if options.resume:
        if not options.id:
            raise BadParameter("--resume takes the ID of a run")
        return await _resume(options)
    settings = config.load(options.config)
    async with db.open_pool(settings.database, max_size=1) as pool:
        ledger = Ledger(pool)
        await ledger.check()
        if options.id:
            _print_run((await ledger.run(_uuid(options.id))).as_json(), options.format)
        else:
            _print_history((await ledger.newest(HISTORY))[0], options.format)
    return OK


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadParameter(f"{text!r} is no run's id") from None


async def _send(options: argparse.Namespace) -> int:
    given = {
        "mode": options.mode,
        "timeout": options.timeout,
        "rate": options.rate,
        "clear": options.clear,
    }
    parameters = parse_parameters(
        {}, {name: value for name, value in given.items() if value is not None}
    )
    if not options.file.is_file():
        raise BadParameter(f"there is no file {options.file}")
    async with open_remote(options.server) as server:
        with _bar(hidden=options.quiet or not err.is_terminal) as bar:
            task = bar.add_task("uploading", total=options.file.stat().st_size)
            run = await server.submit(
                options.file, parameters, lambda count: bar.advance(task, count)
            )
            run = await _followed(server, run, bar, task)
    return _ended(run, options.format)


async def _resume(options: argparse.Namespace) -> int:
    async with open_remote(options.server) as server:
        with _bar(hidden=options.quiet or not err.is_terminal) as bar:
            task = bar.add_task("resuming", total=None)
            run = await server.resume(_uuid(options.id))
            run = await _followed(server, run, bar, task)
    return _ended(run, options.format)


async def _followed(server: RemoteServer, run: Json, bar: Progress, task: TaskID) -> Json:
    """The run as it ended; until then the bar shows how far it is."""
    async for run in server.follow(run):  # noqa: B020  the run, ever newer
        rows = run["rows"]
        draining = run["state"] == "draining"
        done = (run["session"] or {}).get("received") if draining else rows["confirmed"]
        bar.update(
            task,
            description=run["state"],
            completed=done or 0,
            total=rows["read"] - rows["rejected"],
        )
    return run


def _ended(run: Json, form: str) -> int:
    _print_run(run, form)
    if run["state"] != "completed":
        raise PromisePubError(
            f"{run['error']['message']} ({run['error']['code']})" if run["error"] else run["state"]
        )
    return OK if run["verdict"] == "kept" else PROMISE_BROKEN


def _bar(*, hidden: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=err, transient=True, disable=hidden)


def _print_run(run: Json, form: str) -> None:
    if form == "json":
        print(json.dumps(run, ensure_ascii=False, indent=2))
        return
    lines = {
        "run": run["id"],
        "file": run["file"]["name"],
        "state": run["state"],
        "promise": run["verdict"],
        "rows read": run["rows"]["read"],
        "rejected": run["rows"]["rejected"],
        "rows sent": run["rows"]["confirmed"],
        "returned": run["rows"]["returned"],
        "refused": run["rows"]["nacked"],
        "sent again": run["rows"]["resent"],
        "session": (run["session"] or {}).get("uuid"),
        "received": (run["session"] or {}).get("received"),
        "saved": (run["session"] or {}).get("saved"),
        "database count": run["db_count"],
        "seconds": run["seconds"]["total"],
    }
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerows([list(lines), list(lines.values())])
        return
    for name, value in lines.items():
        print(f"{name:<15} {'–' if value is None else value}")
    for sentence in run["explanation"]:
        print(f"{'because':<15} {sentence}")


def _print_history(reports: Sequence[RunReport], form: str) -> None:
    if form == "json":
        print(json.dumps([report.as_json() for report in reports], ensure_ascii=False, indent=2))
        return
    rows = [report.summary() for report in reports]
    if form == "csv":
        csv.writer(sys.stdout).writerows([SUMMARY, *rows])
        return
    table = Table(box=None)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=name == "id")
    for row in rows:
        cells = dict(zip(SUMMARY, row, strict=True))
        table.add_row(*("" if cells[name] is None else str(cells[name]) for name in _COLUMNS))
    out.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="promise-pub", description="Publishes a CSV and proves what became of every row."
    )
    parser.add_argument("--version", action="version", version=f"promise-pub {__version__}")
    _add_common(parser, default=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = _add(commands, "serve", _serve, "the web server")
    serve.add_argument(
        "--local", action="store_true", help="start here whatever is not configured with -c"
    )
    serve.add_argument(
        "--state",
        type=Path,
        default=Path(".local"),
        metavar="DIR",
        help="where --local keeps its state",
    )

    _add(commands, "consumer", _consumer, "the bundled consumer alone")

    send = _add(
        commands, "send", _send, "upload a file to a server, follow its run, print the report"
    )
    send.add_argument("file", type=Path, metavar="FILE")
    send.add_argument("--mode", metavar="live|batch")
    send.add_argument("--timeout", metavar="SECONDS")
    send.add_argument("--rate", metavar="ROWS", help="rows a second at most")
    send.add_argument(
        "--clear", action="store_const", const="true", help="empty the employees table first"
    )
    _add_server(send)
    _add_format(send)

    runs = _add(commands, "runs", _runs, "the history, or one report")
    runs.add_argument("id", nargs="?", metavar="ID")
    runs.add_argument(
        "--resume",
        action="store_true",
        help="go on with a run that did not complete, and follow it",
    )
    _add_server(runs)
    _add_format(runs)

    schema = _add(commands, "schema", _schema, "print or apply scheme.sql")
    schema.add_argument("--apply", action="store_true", help="create the tables that are not there")
    return parser


def _add(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    # Given before or after the command: after it, an option not given must not undo the one before.
    _add_common(parser, default=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"promise-pub {__version__}")
    return parser


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    unset = default is None
    parser.add_argument(
        "-c",
        dest="config",
        type=Path,
        metavar="FILE",
        default=default,
        help="the configuration file",
    )
    parser.add_argument(
        "-v",
        dest="verbose",
        action="count",
        default=0 if unset else default,
        help="say more; twice: everything",
    )
    parser.add_argument(
        "-q",
        dest="quiet",
        action="store_true",
        default=False if unset else default,
        help="say only what went wrong",
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default="http://localhost:8000", metavar="URL")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text")
