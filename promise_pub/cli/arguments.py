"""The command line's arguments: every command, its options, and an example of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from promise_pub import __version__
from promise_pub.cli import accounts, runs, send, services, visits
from promise_pub.cli.output import USAGE
from promise_pub.cli.remote_run import SERVER
from promise_pub.parameters import PARAMETERS
from promise_pub.records import State, Verdict

Command = Callable[[argparse.Namespace], Awaitable[int]]

_LEVELS = 3  # of parsers within each other: promise-pub, user, add

_CODES = """\
exit codes:
  0  the promise is kept
  1  any other error: the run failed, the server is away, you stopped it
  2  a wrong argument, or a wrong configuration
  3  the run ended, and the promise is not kept
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options, with `command` to run. Ends the process with 2 for an error, with 0 for --help and --version.

    `endless` is True for a command that runs until it is stopped, so that being stopped is its success.
    """
    options = _parser().parse_args(arguments)
    levels = [getattr(options, f"verbose_{level}", 0) for level in range(_LEVELS)]
    options.verbose = sum(levels)
    options.endless = getattr(options, "endless", False) or getattr(options, "watch", False)
    return options


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line. Refuses shortened options: new ones would change their meaning."""

    def __init__(self, level: int = 0, **arguments: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **arguments,
        )
        self.level = level
        # After the command as well as before it: there, an option not given must not undo the one before.
        unset = None if level == 0 else argparse.SUPPRESS
        self.add_argument("--version", action="version", version=f"promise-pub {__version__}")
        self.add_argument(
            "-c",
            dest="config",
            type=Path,
            metavar="FILE",
            default=unset,
            help="the configuration file",
        )
        self.add_argument(
            "-v",
            dest=f"verbose_{level}",
            action="count",
            default=0,
            help="log more, and show where an error comes from; twice: log everything",
        )
        self.add_argument(
            "-q",
            dest="quiet",
            action="store_true",
            default=unset or False,
            help="print errors only",
        )

    def error(self, message: str) -> NoReturn:
        print(f"promise-pub: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="promise-pub",
        description="Publishes a CSV and proves what became of every row.",
        epilog="example:\n  promise-pub serve --local\n\npromise-pub COMMAND --help has an example of each command.",
    )
    commands = _commands(parser)
    _add_services(commands)
    _add_send(commands)
    _add_runs(commands)
    _add_visits(commands)
    user = _add(commands, "user", None, "manage the users who may log in", "promise-pub user add ann --role operator")
    accounts.add_user_commands(_commands(user), _add)
    token = _add(commands, "token", None, "manage the tokens of scripts", "promise-pub token add ci --days 30")
    accounts.add_token_commands(_commands(token), _add)
    return parser


def _commands(parser: _Parser) -> Any:
    """Lets a parser have commands."""
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.level = parser.level + 1
    return commands


def _add(commands: Any, name: str, command: Command | None, text: str, *examples: str) -> _Parser:
    """Adds a command, or without `command` a group of commands."""
    lines = "".join(f"\n  {example}" for example in examples)
    parser: _Parser = commands.add_parser(
        name,
        level=commands.level,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example{'s' if len(examples) > 1 else ''}:{lines}" if examples else None,
    )
    if command:
        parser.set_defaults(command=command)
    return parser


def _add_services(commands: Any) -> None:
    serve = _add(
        commands,
        "serve",
        services.serve,
        "run the web server",
        "promise-pub serve --local",
        "promise-pub serve -c production.ini",
    )
    serve.set_defaults(endless=True)
    serve.add_argument("--local", action="store_true", help="start the parts that are not configured on this machine")
    serve.add_argument(
        "--state",
        type=Path,
        default=Path(".local"),
        metavar="DIR",
        help="the folder in which --local keeps its state",
    )
    consumer = _add(
        commands,
        "consumer",
        services.consumer,
        "run the bundled consumer alone",
        "promise-pub consumer -c production.ini",
    )
    consumer.set_defaults(endless=True)
    schema = _add(
        commands,
        "schema",
        services.schema,
        "print or apply scheme.sql",
        "promise-pub schema --apply -c production.ini",
    )
    schema.add_argument("--apply", action="store_true", help="create the missing tables")


def _add_send(commands: Any) -> None:
    parser = _add(
        commands,
        "send",
        send.send,
        "upload a file to a server, follow its run, print the report",
        "promise-pub send data.csv --mode batch --timeout 10",
        "promise-pub send data.csv --columns id,name,mail --delimiter ';' --junit report.xml",
        "promise-pub send --follow http://localhost:8000/runs/7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11",
    )
    parser.epilog = f"{parser.epilog}\n\n{_CODES}"
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the CSV")
    parser.add_argument("--follow", metavar="RUN", help="follow a run that exists: its id or its URL")
    _add_parameters(parser.add_argument_group("how the file is run"))
    _add_server(parser)
    parser.add_argument(
        "--junit", type=Path, metavar="FILE", help="write the outcome to this file as JUnit XML, for CI"
    )
    _add_format(parser)


def _add_parameters(group: Any) -> None:
    """Adds an option for each. Their values are checked where the server checks them, so that both say the same."""
    for one in PARAMETERS:
        option: dict[str, Any] = {"metavar": one.metavar} if one.metavar else {"action": "store_const", "const": "true"}
        words = one.help.replace("`", "").removesuffix(".")
        group.add_argument(f"--{one.name.replace('_', '-')}", help=words[0].lower() + words[1:], **option)


def _add_runs(commands: Any) -> None:
    parser = _add(
        commands,
        "runs",
        runs.runs,
        "list the runs, or show, resume or cancel one",
        "promise-pub runs --state failed --limit 10",
        "promise-pub runs --watch",
        "promise-pub runs 7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11 --resume",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="a run; without it, the newest runs")
    parser.add_argument("--watch", action="store_true", help="show changes as they come, until Ctrl-C")
    parser.add_argument(
        "--state",
        action="append",
        choices=[state.value for state in State],
        metavar="STATE",
        help="only runs in this state; may be given several times: " + ", ".join(State),
    )
    parser.add_argument(
        "--verdict",
        action="append",
        choices=[verdict.value for verdict in Verdict],
        metavar="VERDICT",
        help="only runs with this verdict; may be given several times: " + ", ".join(Verdict),
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help=f"at most this many runs (default: {runs.DEFAULT_LIMIT})"
    )
    acts = parser.add_argument_group("at a server")
    acts.add_argument(
        "--resume",
        action="store_true",
        help="resume a run that did not complete, and follow it; exit codes as for send",
    )
    acts.add_argument("--cancel", action="store_true", help="cancel a run that waits or works")
    _add_server(acts)
    _add_format(parser)


def _add_visits(commands: Any) -> None:
    sessions = _add(
        commands,
        "sessions",
        visits.sessions,
        "list the sessions of visitors, newest first",
        "promise-pub sessions --since 24h",
    )
    _add_since(sessions)
    sessions.add_argument(
        "--limit", type=int, metavar="N", help=f"at most this many sessions (default: {visits.SESSIONS})"
    )
    _add_format(sessions)
    transitions = _add(
        commands,
        "transitions",
        visits.transitions,
        "show page-to-page statistics",
        "promise-pub transitions --since 7d",
        "promise-pub transitions --format svg > transitions.svg",
    )
    transitions.add_argument("--session-id", metavar="UUID", help="only this session")
    _add_since(transitions)
    _add_format(transitions, "dot", "svg")
    more = _commands(_add(commands, "visits", None, "manage the record of page hits"))
    forget = _add(
        more,
        "forget",
        visits.forget,
        "delete everything recorded of a session; this cannot be undone",
        "promise-pub visits forget 5f0c9a11-8f0c-4f6e-9d3c-2f1f4f0c9a11",
    )
    forget.add_argument("session", metavar="SESSION", help="its id")
    importing = _add(
        more,
        "import",
        visits.import_file,
        "import hits from CSV or JSON lines, with at, session_id and page at least",
        "promise-pub visits import hits.csv",
    )
    importing.add_argument("file", type=Path, metavar="FILE")


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="only since then: 24h, 7d, 2026-11-24, 2026-11-24T12:00Z",
    )


def _add_server(parser: Any) -> None:
    parser.add_argument("--server", metavar="URL", help=f"the server's URL (default: {SERVER})")


def _add_format(parser: argparse.ArgumentParser, *more: str) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv", *more),
        default="text",
        help="the format of the output",
    )
