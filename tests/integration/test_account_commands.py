"""`promise-pub user` and `token` over a real PostgreSQL: what they do, print and end with."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from promise_pub import cli
from promise_pub.accounts.passwords import Passwords
from promise_pub.settings import inifile
from promise_pub.settings.model import ConsumerSettings, DatabaseSettings, RabbitSettings, ServerSettings, Settings
from tests import services
from tests.integration import stacks
from tests.terminal import PATIENCE, Terminal

PASSWORD = "correct horse"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def configuration(database: DatabaseSettings, tmp_path: Path) -> Path:
    path = tmp_path / "test.ini"
    rabbit, consumer = RabbitSettings(host="127.0.0.1"), ConsumerSettings(host="127.0.0.1", port=1)
    settings = Settings(server=ServerSettings(), rabbit=rabbit, consumer=consumer, database=database)
    inifile.write(path, settings)
    return path


@pytest.fixture
def command(configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; `typed` comes on its standard input."""

    def run(*arguments: str, typed: str = f"{PASSWORD}\n") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        try:
            code = cli.main(["-c", str(configuration), *arguments])
        except SystemExit as end:  # argparse's own
            code = int(end.code or 0)
        return Said(code, *capsys.readouterr())

    return run


def listed(command: Command, kind: str) -> Any:
    return json.loads(command(kind, "list", "--format", "json").out)


def test_a_user_is_added_listed_changed_and_removed(command: Command) -> None:
    added = command("user", "add", "ann", "--role", "operator")
    assert added == (0, "ann can now log in as operator.\n", "")
    assert command("-q", "user", "add", "bob") == (0, "", "")
    users = listed(command, "user")
    assert [(user["name"], user["role"]) for user in users] == [
        ("ann", "operator"),
        ("bob", "viewer"),
    ]
    assert set(users[0]) == {"name", "role", "created_at"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", users[0]["created_at"])
    assert command("user", "password", "ann", typed="another horse\n").code == 0
    assert command("user", "remove", "ann").code == 0
    assert [user["name"] for user in listed(command, "user")] == ["bob"]
    text = command("user", "list").out
    assert "name" in text and "bob" in text and "viewer" in text
    rows = list(csv.reader(io.StringIO(command("user", "list", "--format", "csv").out)))
    assert rows[0] == ["name", "role", "created_at"] and rows[1][:2] == ["bob", "viewer"]


def test_a_password_is_kept_as_its_hash_whether_new_or_changed(command: Command, database: DatabaseSettings) -> None:
    async def fits(password: str) -> bool:
        hashed = await stacks.fetch(database, "SELECT password FROM access_users")
        assert isinstance(hashed, str) and hashed.startswith("$argon2id$")
        assert password not in hashed
        return await Passwords().verify(hashed, password)

    assert command("user", "add", "ann").code == 0
    assert asyncio.run(fits(PASSWORD))
    assert command("user", "password", "ann", typed="another horse\n").code == 0
    assert asyncio.run(fits("another horse")) and not asyncio.run(fits(PASSWORD))


def test_a_token_is_shown_once_alone_on_the_standard_output(command: Command) -> None:
    made = command("token", "add", "ci", "--role", "operator", "--days", "7")
    assert made.code == 0 and "cannot be shown again" in made.err
    token = made.out.strip()
    assert re.fullmatch(r"ppub_[A-Za-z0-9_-]{43}", token)
    for form in ("text", "json", "csv"):
        told = command("token", "list", "--format", form)
        assert told.code == 0 and "ci" in told.out and token not in told.out
    assert set(listed(command, "token")[0]) == {"name", "role", "created_at", "expires_at"}
    assert command("token", "revoke", "ci").code == 0
    assert listed(command, "token") == []


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("user", "add", "ann"), 1, "There is already a user ann."),
        (("token", "add", "ci"), 1, "There is already a token ci. Revoke it first."),
        (("user", "remove", "bob"), 1, "There is no user bob."),
        (("user", "password", "bob"), 1, "There is no user bob."),
        (("token", "revoke", "none"), 1, "There is no token none."),
        (("user", "add", "Ann Lee"), 2, "A name must have 1 to 63 characters of a-z"),
        (("token", "add", "../ci"), 2, "A name must have 1 to 63 characters of a-z"),
        (("token", "add", "x", "--days", "0"), 2, "--days must be from 1 to 3650, not 0"),
        (("token", "add", "x", "--days", "soon"), 2, "invalid int value"),
        (("user", "add", "x", "--role", "king"), 2, "invalid choice"),
        (("user",), 2, "required: COMMAND"),
        (("user", "add"), 2, "required: NAME"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    command: Command, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    command("user", "add", "ann")
    command("token", "add", "ci")
    said = command(*arguments)
    assert said.code == code and complaint in said.err and said.out == ""
    assert PASSWORD not in said.err


@pytest.mark.parametrize("typed", ["", "\n", "short\n"])
def test_without_a_password_nobody_is_added(command: Command, typed: str) -> None:
    said = command("user", "add", "ann", typed=typed)
    assert said.code == 2 and "A password must have 8 to 1024 characters" in said.err
    assert "short" not in said.err
    assert listed(command, "user") == []


def test_without_tables_it_is_said_how_to_make_them(
    command: Command, services_loop: services.BackgroundLoop, configuration: Path
) -> None:
    text = re.sub(r"(dbname = ).*", r"\1postgres", configuration.read_text())
    configuration.write_text(text)
    said = command("user", "list")
    assert said.code == 1 and "promise-pub schema --apply" in said.err


@pytest.fixture
def terminal(configuration: Path) -> Any:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal("-c", configuration, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(
    terminal: Callable[..., Terminal], command: Command
) -> None:
    screen = terminal("user", "add", "ann")
    screen.read_until("Password for ann: ")
    screen.type(f"{PASSWORD}\n")
    screen.read_until("Repeat the password: ")
    screen.type(f"{PASSWORD}\n")
    screen.read_until("ann can now log in as viewer.")
    assert screen.process.wait(PATIENCE) == 0
    assert PASSWORD not in screen.shown and screen.shows_what_is_typed
    assert [user["name"] for user in listed(command, "user")] == ["ann"]


def test_two_passwords_that_differ_are_none(terminal: Callable[..., Terminal], command: Command) -> None:
    screen = terminal("user", "add", "ann")
    screen.read_until("Password for ann: ")
    screen.type(f"{PASSWORD}\n")
    screen.read_until("Repeat the password: ")
    screen.type("another horse\n")
    screen.read_until("The two passwords differ")
    assert screen.process.wait(PATIENCE) == 2
    assert listed(command, "user") == []


def test_whoever_thinks_better_of_it_gets_the_terminal_back(
    terminal: Callable[..., Terminal], command: Command
) -> None:
    screen = terminal("user", "add", "ann")
    screen.read_until("Password for ann: ")
    assert not screen.shows_what_is_typed
    screen.process.send_signal(signal.SIGINT)
    screen.read_until("No password was given")
    assert screen.process.wait(PATIENCE) == 2
    assert screen.shows_what_is_typed
    assert listed(command, "user") == []
