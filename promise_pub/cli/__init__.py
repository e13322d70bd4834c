"""The command line. It prints, and nothing else does."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from promise_pub import __version__
from promise_pub.cli import accounts, runs, services
from promise_pub.cli.output import FAILED, OK, USAGE
from promise_pub.errors import BadParameter, ConfigurationError, PromisePubError

_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
# They log as errors, with tracebacks, what is reported in better words anyway, or what strangers send.
_CHATTY = ("aiormq", "aio_pika", "asyncio", "asyncpg", "aiohttp.server")

Command = Callable[[argparse.Namespace], Awaitable[int]]


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="promise-pub", description="Publishes a CSV and proves what became of every row."
    )
    parser.add_argument("--version", action="version", version=f"promise-pub {__version__}")
    _add_common(parser, default=None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = _add(commands, "serve", services.serve, "the web server")
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

    _add(commands, "consumer", services.consumer, "the bundled consumer alone")

    send = _add(
        commands, "send", runs.send, "upload a file to a server, follow its run, print the report"
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

    history = _add(commands, "runs", runs.runs, "the history, or one report")
    history.add_argument("id", nargs="?", metavar="ID")
    history.add_argument(
        "--resume",
        action="store_true",
        help="go on with a run that did not complete, and follow it",
    )
    _add_server(history)
    _add_format(history)

    schema = _add(commands, "schema", services.schema, "print or apply scheme.sql")
    schema.add_argument("--apply", action="store_true", help="create the tables that are not there")

    accounts.add_user_commands(_group(commands, "user", "who may log in"), _add)
    accounts.add_token_commands(_group(commands, "token", "tokens for scripts"), _add)
    return parser


def _group(commands: Any, name: str, text: str) -> Any:
    """A command that has commands of its own."""
    parser = commands.add_parser(name, help=text, description=text)
    _add_common(parser, default=argparse.SUPPRESS)
    return parser.add_subparsers(required=True, metavar="COMMAND")


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
