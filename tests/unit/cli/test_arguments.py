"""What the command line takes and refuses: in one line, with exit code 2, before anything is done."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from promise_pub import cli
from promise_pub.app import FEATURES
from promise_pub.cli.arguments import parse
from promise_pub.terminal import CommandParsers
from tests.run_parts import RUN


class Said(NamedTuple):
    code: int
    out: str
    err: str


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    try:
        code = cli.main(arguments)
    except SystemExit as end:  # argparse's own
        code = int(end.code or 0)
    return Said(code, *capsys.readouterr())


@pytest.fixture
def data(tmp_path: Path) -> str:
    file = tmp_path / "data.csv"
    file.write_text("a,b\n")
    return str(file)


COMMANDS = [
    ("serve",),
    ("consumer",),
    ("send", "x.csv"),
    ("runs",),
    ("schema",),
    ("user", "list"),
    ("user", "add", "ann"),
    ("user", "remove", "ann"),
    ("user", "password", "ann"),
    ("token", "list"),
    ("token", "add", "ci"),
    ("token", "revoke", "ci"),
]


def placed(command: tuple[str, ...], given: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The command with something at each place that it can stand."""
    for at in range(len(command) + 1):
        yield (*command[:at], *given, *command[at:])


@pytest.mark.parametrize("command", COMMANDS)
def test_what_all_commands_take_can_stand_anywhere(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in placed(command, ("-c", "a.ini", "-q", "-v")):
        options = parse(arguments)
        assert (options.config, options.quiet, options.verbose) == (Path("a.ini"), True, 1)
    plain = parse(command)
    assert (plain.config, plain.quiet, plain.verbose) == (None, False, 0)
    assert parse(("-v", *command, "-v")).verbose == 2
    for arguments in placed(command, ("--version",)):
        code, out, _ = said(capsys, *arguments)
        assert code == 0 and out.startswith("promise-pub ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    names = command[:2] if command[0] in ("user", "token") else command[:1]
    code, out, err = said(capsys, *names, "--help")
    assert (code, err) == (0, "")
    assert f"\n  promise-pub {' '.join(names)}" in out.partition("example")[2]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "the following arguments are required: COMMAND (see promise-pub --help)"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        (("send",), "send takes a FILE, or --follow RUN"),
        (("send", "no.csv"), "there is no file no.csv"),
        (("send", "DATA", "--mode", "fast"), "mode must be live or batch, not 'fast'"),
        (("send", "DATA", "--rate", ""), "rate must be a whole number"),
        (("send", "DATA", "--server", "nonsense"), "--server must be a URL"),
        (("send", "DATA", "--server", "http://[::1"), "--server must be a URL"),
        (("send", "DATA", "--junit", "/nowhere/x.xml"), "--junit: there can be no file"),
        (("send", "DATA", "--junit", "x.xml", "--dry-run"), "--dry-run makes none"),
        (("send", "DATA", "--follow", RUN), "--follow takes a run as it goes: FILE is"),
        (("send", "--follow", RUN, "--mode", "live"), "--mode is for a new one"),
        (("send", "--follow", RUN, "--dry-run"), "--dry-run is for a new one"),
        (("send", "--follow", "7"), "'7' is no run's id"),
        (("send", "--follow", "http://x/runs/7"), "'7' is no run's id"),
        (("send", "--follow", "x/y"), "'x/y' is no address of a run"),
        (("send", "--follow", f"ftp://x/runs/{RUN}"), "--server must be a URL"),
        (("send", "--follow", f"http://x/runs/{RUN}", "--server", "http://y"), "leave --server"),
        (("send", "DATA", "--foll", RUN), "unrecognized arguments: --foll"),
        (("runs", "7"), "'7' is no run's id"),
        (("runs", "--resume"), "--resume takes the ID of a run"),
        (("runs", "--cancel"), "--cancel takes the ID of a run"),
        (("runs", RUN, "--cancel", "--resume"), "--resume and --cancel cannot be combined"),
        (("runs", RUN, "--watch", "--cancel"), "--cancel and --watch cannot be combined"),
        (("runs", RUN, "--state", "failed"), "are for the history, not for one run"),
        (("runs", "--state", "asleep"), "invalid choice: 'asleep'"),
        (("runs", "--limit", "0"), "--limit must be from 1 to 10000, not 0"),
        (("runs", "--limit", "many"), "invalid int value: 'many'"),
        (("runs", "-c", "no.ini"), "no.ini: there is no such configuration file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: tuple[str, ...], complaint: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, *(data if text == "DATA" else text for text in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("promise-pub: ") and complaint in err
    assert err.count("\n") == 1


def test_an_output_of_another_encoding_is_written_in_its_own_way(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stderr", narrow)
    assert cli.main(["send", f"{data}é"]) == 2
    narrow.flush()
    assert narrow.buffer.getvalue().endswith(b"data.csv\\xe9\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize("verbose", [True, False])
def test_where_an_error_comes_from_is_told_to_whoever_asks(
    verbose: bool, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ("--server", "http://127.0.0.1:1")
    code, _, err = said(capsys, "-q", *["-v"] * verbose, "send", data, *url)
    assert code == 1 and "cannot be reached" in err
    assert ("Traceback" in err) is verbose and (err.count("\n") == 1) is not verbose


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["log"], ("list", None, 0, False)),
        (["log", "--only", "x", "-v"], ("list", "x", 1, False)),
        (["log", "--watch"], ("list", None, 0, True)),
        (["-v", "log", "-v", "add", "-v"], ("add", None, 3, False)),
    ],
)
def test_a_command_may_have_commands_below_it(words: list[str], expected: tuple[object, ...]) -> None:
    async def list_all(_: argparse.Namespace) -> int:
        return 0

    async def add(_: argparse.Namespace) -> int:
        return 0

    def add_commands(commands: CommandParsers) -> None:
        listing = commands.add("log", list_all, "list")
        listing.add_argument("--only")
        listing.add_argument("--watch", action="store_true")
        commands.add_below(listing).add("add", add, "add")

    feature = replace(FEATURES[0], sections={}, add_commands=add_commands)
    options = parse(words, [feature])
    name = {list_all: "list", add: "add"}[options.command]
    assert (name, options.only, options.verbose, options.endless) == expected
