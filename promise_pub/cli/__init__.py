"""The command line. It prints, and nothing else does.

Does: parses arguments, runs one command, prints its result on stdout and what went wrong on stderr.
Never: shows a traceback without -v; takes a password as an argument; stops a run because it was itself stopped.
Limits: a server that goes away meanwhile is waited for, for a minute.
Fails with: exit code 1 for any error, 2 for usage and configuration, 3 where the run ended and its promise is
not kept, 4 where it is kept and its gate did not pass.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Sequence
from io import TextIOWrapper

from promise_pub import logs
from promise_pub.app import FEATURES
from promise_pub.cli import services
from promise_pub.cli.arguments import parse
from promise_pub.errors import BadParameter, ConfigurationError, PromisePubError, Stopped
from promise_pub.http.features import Feature
from promise_pub.terminal import FAILED, OK, USAGE
from promise_pub.text import printable, unmasked


def main(arguments: Sequence[str] | None = None, features: Sequence[Feature] = FEATURES) -> int:
    """Runs one command and returns its exit code: 0 success, 1 any other error, 2 configuration or usage."""
    _let_everything_be_written()
    options = parse(arguments, features)
    logs.set_up(services.log_level(options, logging.WARNING))
    try:
        code = asyncio.run(_until_signal(options.command(options), endless=options.endless))
        sys.stdout.flush()
        return code
    except PromisePubError as error:
        _complain(options, error, [*error.message.splitlines(), *error.details])
        return USAGE if isinstance(error, ConfigurationError | BadParameter) else FAILED
    except BrokenPipeError:
        _drop_output()
        return FAILED
    except OSError as error:
        _complain(options, error, [f"the system refused: {error}"])
        _drop_output()
        return FAILED
    except Exception as error:  # noqa: BLE001  the last resort of a command line: one line, and -v for more
        _complain(
            options,
            error,
            # Not its repr: that of an encoding that fails holds all that was to be encoded, passwords as well.
            [f"failed unexpectedly: {type(error).__name__}: {error} (-v shows where)"],
        )
        return FAILED


def _let_everything_be_written() -> None:
    """Has characters that the output's encoding lacks written as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Redirects the output to nowhere, so that closing it does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(options: argparse.Namespace, error: Exception, lines: Sequence[str]) -> None:
    if options.verbose:
        print(unmasked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    for line in lines:
        print(f"promise-pub: {printable(line)}", file=sys.stderr)


async def _until_signal(command: Awaitable[int], *, endless: bool) -> int:
    """Cancels the command at the first SIGINT, SIGTERM or SIGHUP; all it opened is closed before the process ends.

    An endless command has then succeeded. Raises Stopped for any other: it did not finish its work.
    """
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
        if not signalled:
            raise
        if endless:
            return OK
        raise Stopped from None
