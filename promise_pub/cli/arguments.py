"""The command line's arguments: every command, its options, and an example of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from promise_pub import __version__, app
from promise_pub.cli import accounts, runs, send, services, verify
from promise_pub.cli.remote_run import SERVER
from promise_pub.cli.rows import FATES
from promise_pub.http.features import Feature
from promise_pub.parameters import PARAMETERS
from promise_pub.records import State, Verdict
from promise_pub.settings import model
from promise_pub.terminal import USAGE, Command, CommandParsers, add_format

_LEVELS = 3  # of parsers within each other: promise-pub, user, add

_CODES = """\
exit codes:
  0  the promise is kept, and the gate passed where there is one
  1  any other error: the run failed, the server is away, you stopped it
  2  a wrong argument, or a wrong configuration
  3  the run ended, and the promise is not kept
  4  the promise is kept, and the gate failed or could not be judged
"""

_VERIFY_CODES = """\
exit codes:
  0  the file is the one of the report, byte for byte, and gives its digest
  1  any other error: the file cannot be read
  2  a wrong argument, or a report that proves nothing
  3  the file differs; the first difference is named as far as the report shows it
"""


def parse(arguments: Sequence[str] | None, features: Sequence[Feature] = ()) -> argparse.Namespace:
    """Returns the options, with `command` to run. Ends the process with 2 for an error, with 0 for --help and --version.

    `endless` is True for a command that runs until it is stopped, so that being stopped is its success. `load_settings`
    reads the configuration that the options name, with the sections of `features`, which may add commands.
    """
    options = _parser(features).parse_args(arguments)
    levels = [getattr(options, f"verbose_{level}", 0) for level in range(_LEVELS)]
    options.verbose = sum(levels)
    options.endless = getattr(options, "endless", False) or getattr(options, "watch", False)
    options.load_settings = partial(model.load, options.config, sections=app.sections_of(features))
    options.features = features
    return options


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line. Refuses shortened options: new ones would change their meaning."""

    def __init__(self, level: int = 0, **arguments: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **arguments)
        self.level = level
        # After the command as well as before it: there, an option not given must not undo the one before.
        unset = None if level == 0 else argparse.SUPPRESS
        self.add_argument("--version", action="version", version=f"promise-pub {__version__}")
        self.add_argument("-c", dest="config", type=Path, metavar="FILE", default=unset, help="the configuration file")
        self.add_argument(
            "-v",
            dest=f"verbose_{level}",
            action="count",
            default=0,
            help="log more, and show where an error comes from; twice: log everything",
        )
        self.add_argument("-q", dest="quiet", action="store_true", default=unset or False, help="print errors only")

    def error(self, message: str) -> NoReturn:
        print(f"promise-pub: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(USAGE)


def _parser(features: Sequence[Feature]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="promise-pub",
        description="Publishes a CSV and proves what became of every row.",
        epilog="example:\n  promise-pub serve --local\n\npromise-pub COMMAND --help has an example of each command.",
    )
    commands = _Commands(parser)
    _add_services(commands)
    _add_send(commands)
    _add_runs(commands)
    _add_verify(commands)
    for feature in features:
        if feature.add_commands:
            feature.add_commands(commands)
    accounts.add_commands(commands)
    return parser


class _Commands:
    """Lets a parser have commands."""

    def __init__(self, parser: Any, *, required: bool = True) -> None:
        self._parsers: Any = parser.add_subparsers(required=required, metavar="COMMAND")
        self._level = parser.level + 1

    def add(self, name: str, command: Command, text: str, *examples: str) -> argparse.ArgumentParser:
        parser = self._add(name, text, examples)
        parser.set_defaults(command=command)
        return parser

    def add_group(self, name: str, text: str, *examples: str) -> CommandParsers:
        return _Commands(self._add(name, text, examples))

    def add_below(self, parser: argparse.ArgumentParser) -> CommandParsers:
        return _Commands(parser, required=False)

    def _add(self, name: str, text: str, examples: Sequence[str]) -> _Parser:
        lines = "".join(f"\n  {example}" for example in examples)
        parser: _Parser = self._parsers.add_parser(
            name,
            level=self._level,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example{'s' if len(examples) > 1 else ''}:{lines}" if examples else None,
        )
        return parser


def _add_services(commands: CommandParsers) -> None:
    serve = commands.add(
        "serve",
        services.serve,
        "run the web server",
        "promise-pub serve --local",
        "promise-pub serve -c production.ini",
    )
    serve.set_defaults(endless=True)
    serve.add_argument("--local", action="store_true", help="start the parts that are not configured on this machine")
    serve.add_argument(
        "--state", type=Path, default=Path(".local"), metavar="DIR", help="the folder in which --local keeps its state"
    )
    consumer = commands.add(
        "consumer", services.consumer, "run the bundled consumer alone", "promise-pub consumer -c production.ini"
    )
    consumer.set_defaults(endless=True)
    schema = commands.add(
        "schema", services.schema, "print or apply scheme.sql", "promise-pub schema --apply -c production.ini"
    )
    schema.add_argument("--apply", action="store_true", help="create the missing tables")


def _add_send(commands: CommandParsers) -> None:
    parser = commands.add(
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
    add_format(parser)


def _add_parameters(group: Any) -> None:
    """Adds an option for each. Their values are checked where the server checks them, so that both say the same."""
    for one in PARAMETERS:
        option: dict[str, Any] = {"metavar": one.metavar} if one.metavar else {"action": "store_const", "const": "true"}
        if one.join:
            option["action"] = "append"
        words = one.help.replace("`", "").removesuffix(".")
        group.add_argument(f"--{one.name.replace('_', '-')}", help=words[0].lower() + words[1:], **option)


def _add_runs(commands: CommandParsers) -> None:
    parser = commands.add(
        "runs",
        runs.runs,
        "list the runs, or show, resume or cancel one, or list its rows",
        "promise-pub runs --state failed --limit 10",
        "promise-pub runs --watch",
        "promise-pub runs 7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11 --resume",
        "promise-pub runs 7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11 --rows --fate missing --format csv",
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
    acts.add_argument("--rows", action="store_true", help="list the rows of a run that has ended, with their fates")
    acts.add_argument(
        "--fate",
        action="append",
        choices=FATES,
        metavar="FATE",
        help="only rows of this fate; may be given several times: " + ", ".join(FATES),
    )
    acts.add_argument("--text", metavar="TEXT", help="only rows whose content holds this, in capitals or not")
    _add_server(acts)
    add_format(parser)


def _add_verify(commands: CommandParsers) -> None:
    parser = commands.add(
        "verify",
        verify.verify,
        "prove offline that a file is the one of a run's report, and gives its digest",
        "promise-pub verify report-7b0e0a52-8f0c-4f6e-9d3c-2f1f4f0c9a11.json data.csv",
    )
    parser.epilog = f"{parser.epilog}\n\n{_VERIFY_CODES}"
    parser.add_argument(
        "report", type=Path, metavar="REPORT.json", help="/runs/ID/report.json of a server, or the JSON of a run"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the CSV")
    add_format(parser)


def _add_server(parser: Any) -> None:
    parser.add_argument("--server", metavar="URL", help=f"the server's URL (default: {SERVER})")
