"""`serve`, `consumer` and `schema`: the services, and the tables that they need."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Any

from yarl import URL

from promise_pub import __version__, app, db, db_checks, logs
from promise_pub.consumer import server as consumer_server
from promise_pub.files import is_open_to_all
from promise_pub.local.stack import LocalStack
from promise_pub.resources import collect_garbage_rarely, switch_threads_often
from promise_pub.settings import model
from promise_pub.terminal import OK, err
from promise_pub.text import printable

log = logging.getLogger(__name__)


def log_level(options: argparse.Namespace, usual: int) -> int:
    """Returns ERROR for -q, INFO for -v, DEBUG for -vv, otherwise the usual level."""
    if options.quiet:
        return logging.ERROR
    wanted = (usual, logging.INFO, logging.DEBUG)[min(options.verbose, 2)]
    return min(wanted, usual)


def _logging(options: argparse.Namespace, settings: model.ServerSettings) -> AbstractContextManager[object]:
    """Logs as configured in the block, without waiting for the reader of standard error."""
    level = log_level(options, logging.getLevelNamesMapping()[settings.log_level.upper()])
    return logs.logging_to(sys.stderr.fileno(), level, settings.log_format)


def _warn_of_open_secrets(options: argparse.Namespace, *, search: bool = True) -> None:
    """Warns of a configuration file with secrets in it that every user may read."""
    path = model.find_file(options.config, os.environ, search=search)
    if path and is_open_to_all(path) and (secrets := model.list_secrets(path)):
        log.warning("Every user may read %s, and so %s: chmod 600 it", path, ", ".join(secrets))


def _print_line(line: str) -> None:
    """Prints in one piece: the log, written by another thread, may go to the same place."""
    print(f"{line}\n", end="", flush=True)


async def serve(options: argparse.Namespace) -> int:
    async with AsyncExitStack() as stack:
        local = await _start_local(stack, options) if options.local else None
        settings = local[1] if local else options.load_settings(connects=True)
        stack.enter_context(_logging(options, settings.server))
        _warn_of_open_secrets(options, search=not options.local)
        url = await stack.enter_async_context(app.running(settings, options.features))
        stack.enter_context(collect_garbage_rarely())
        stack.enter_context(switch_threads_often())
        if local:
            local[0].publish_settings(URL(url).port or 0)
        _print_line(f"promise-pub {__version__} on {url}")
        if local:
            await local[0].keep_running()
        await asyncio.Event().wait()
    return OK


async def _start_local(stack: AsyncExitStack, options: argparse.Namespace) -> tuple[LocalStack, model.Settings]:
    path = model.find_file(options.config, os.environ, search=False)
    sections = app.sections_of(options.features)
    values = model.read(path, os.environ, sections)
    with err.status("starting") as status:
        local = LocalStack(
            options.state,
            values,
            sections,
            app.local_options_of(options.features),
            report=lambda text: _report(status, options, text),
            warn=lambda text: err.print(printable(text), markup=False),
        )
        settings = await stack.enter_async_context(local)
    if not options.quiet:
        for line in local.started:
            print(printable(line), flush=True)
    return local, settings


def _report(status: Any, options: argparse.Namespace, text: str) -> None:
    status.update(text)
    if not err.is_terminal and not options.quiet:
        print(printable(text), file=sys.stderr, flush=True)


async def consumer(options: argparse.Namespace) -> int:
    settings = options.load_settings()
    with _logging(options, settings.server):
        _warn_of_open_secrets(options)
        await consumer_server.serve(settings, on_ready=lambda url: _print_line(f"listening on {url}"))
    return OK


async def schema(options: argparse.Namespace) -> int:
    if not options.apply:
        print(db.scheme(), end="")
        return OK
    settings = options.load_settings()
    async with db.open_pool(settings.database, max_size=2) as pool:
        await db_checks.require_usable(pool)
        await db.apply_scheme(pool)
    if not options.quiet:
        print(f"The tables are in {settings.database.dbname} on {settings.database.host}.")
    return OK
