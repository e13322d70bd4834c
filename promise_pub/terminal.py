"""Printing on a terminal or into a pipe, and exit codes: what all commands share, the heart's and features'."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from rich.console import Console

from promise_pub.json_text import dump_json
from promise_pub.presentation.csv_cells import neutralise_cell
from promise_pub.text import unmasked

OK, FAILED, USAGE, PROMISE_BROKEN, GATE_FAILED = 0, 1, 2, 3, 4

MAX_WIDTH = 200  # columns of a table that is printed into a file or a pipe

Command = Callable[[argparse.Namespace], Awaitable[int]]
"""Runs a command with its options and returns the exit code. `options.load_settings()` reads the configuration."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else MAX_WIDTH)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class CommandParsers(Protocol):
    """The commands of a command line, or of a command that has some."""

    def add(self, name: str, command: Command, text: str, *examples: str) -> argparse.ArgumentParser:
        """Adds a command, described by `text` and `examples`, and returns its parser for options."""

    def add_group(self, name: str, text: str, *examples: str) -> CommandParsers:
        """Adds a command that has commands of its own, and returns these."""

    def add_below(self, parser: argparse.ArgumentParser) -> CommandParsers:
        """Lets a command that was added have commands of its own besides what it does by itself, and returns these."""


def add_format(parser: Any, *more: str) -> None:
    """Adds `--format`, with the formats of all tables and these."""
    parser.add_argument(
        "--format", choices=("text", "json", "csv", *more), default="text", help="the format of the output"
    )


def print_json(value: Any) -> None:
    print(dump_json(value, indent=2))


def print_json_line(value: Any) -> None:
    print(dump_json(value), flush=True)


def print_csv(*rows: Sequence[object]) -> None:
    """Prints rows whose cells no spreadsheet executes and that drive no terminal: names of files and of browsers come from
    strangers."""
    csv.writer(sys.stdout).writerows([_cell(value) for value in row] for row in rows)
    sys.stdout.flush()


def _cell(value: object) -> object:
    return neutralise_cell(unmasked(value) if isinstance(value, str) else value)
