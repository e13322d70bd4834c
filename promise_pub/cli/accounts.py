"""`user` and `token`. Passwords are read from the terminal or standard input: arguments are visible to every user."""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from rich.table import Table
from rich.text import Text

from promise_pub import db
from promise_pub.accounts.passwords import Passwords, checked_password
from promise_pub.accounts.people import Account, Role, checked_name
from promise_pub.accounts.store import StoredAccounts
from promise_pub.errors import BadParameter
from promise_pub.settings import model
from promise_pub.terminal import OK, Command, CommandParsers, add_format, out, print_csv, print_json
from promise_pub.text import printable
from promise_pub.times import rfc3339

DEFAULT_DAYS = 90
MAX_DAYS = 3650


def add_commands(commands: CommandParsers) -> None:
    users = commands.add_group("user", "manage users", "promise-pub user add ann --role operator")
    _add_each(
        *(users, "user"),
        ("add", add_user, "add a user; asks for the password", "add ann --role operator"),
        ("list", list_users, "list the users", "list --format json"),
        ("remove", remove_user, "remove a user and end their sessions", "remove ann"),
        ("password", change_password, "set a new password and end the user's sessions", "password ann"),
    )
    tokens = commands.add_group("token", "manage tokens for scripts", "promise-pub token add ci --days 30")
    _add_each(
        *(tokens, "token"),
        ("add", add_token, "create a token and print it, this once", "add ci --role operator --days 30"),
        ("list", list_tokens, "list the tokens and when they expire", "list --format json"),
        ("revoke", revoke_token, "revoke a token at once", "revoke ci"),
    )


def _add_each(commands: CommandParsers, kind: str, *known: tuple[str, Command, str, str]) -> None:
    for name, command, text, example in known:
        parser = commands.add(name, command, text, f"promise-pub {kind} {example}")
        if name == "list":
            add_format(parser)
        else:
            parser.add_argument("name", metavar="NAME", help=f"{kind} name")
        if name == "add":
            rights = "viewer (default): may view everything; operator: may also send, cancel, resume and clear"
            parser.add_argument("--role", choices=[role.value for role in Role], default="viewer", help=rights)
        if command is add_token:
            lifetime = f"days until the token expires (default: {DEFAULT_DAYS})"
            parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=lifetime)


# The two commands that ask for a password do so before the event loop starts: reading it would block the loop.


def add_user(options: argparse.Namespace) -> Awaitable[int]:
    settings, name = options.load_settings(), checked_name(options.name)
    password = _read_password(name)

    async def add() -> int:
        async with _accounts(settings) as accounts:
            await accounts.add_user(name, Role(options.role), await Passwords().hash(password))
        return _done(options, f"{name} can now log in as {options.role}.")

    return add()


def change_password(options: argparse.Namespace) -> Awaitable[int]:
    settings, name = options.load_settings(), checked_name(options.name)
    password = _read_password(name)

    async def change() -> int:
        async with _accounts(settings) as accounts:
            await accounts.change_password(name, await Passwords().hash(password))
        return _done(options, f"{name} has a new password and must log in again.")

    return change()


async def remove_user(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        await accounts.remove_user(options.name)
    return _done(options, f"{options.name} can no longer log in.")


async def list_users(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        return _print(await accounts.list_users(), Account._fields[:3], options.format)


async def add_token(options: argparse.Namespace) -> int:
    name = checked_name(options.name)
    if not 1 <= options.days <= MAX_DAYS:
        raise BadParameter(f"--days must be from 1 to {MAX_DAYS}, not {options.days}")
    async with _accounts(options.load_settings()) as accounts:
        token, expires_at = await accounts.add_token(name, Role(options.role), options.days)
    print(token)
    if not options.quiet:
        until = f"{expires_at:%Y-%m-%d %H:%M} UTC"
        print(f"Save this {options.role} token now: it cannot be shown again. It expires at {until}.", file=sys.stderr)
    return OK


async def revoke_token(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        await accounts.revoke_token(options.name)
    return _done(options, f"Token {options.name} is revoked.")


async def list_tokens(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        return _print(await accounts.list_tokens(), Account._fields, options.format)


@asynccontextmanager
async def _accounts(settings: model.Settings) -> AsyncIterator[StoredAccounts]:
    async with db.open_pool(settings.database, max_size=1) as pool:
        yield StoredAccounts(pool)


def _read_password(name: str) -> str:
    """Asks for a new password twice on a terminal, without echo; elsewhere reads one line of standard input."""
    if sys.stdin is None or not sys.stdin.isatty():
        line = sys.stdin.readline() if sys.stdin else ""
        return checked_password(line.rstrip("\r\n"))
    with _interruptible():
        password = checked_password(getpass.getpass(f"Password for {name}: "))
        if getpass.getpass("Repeat the password: ") != password:
            raise BadParameter("The two passwords differ. Nothing was changed.")
    return password


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end a prompt without echo, so that the terminal echoes again afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, EOFError):
        raise BadParameter("No password was given. Nothing was changed.") from None
    finally:
        signal.signal(signal.SIGINT, before)


def _done(options: argparse.Namespace, text: str) -> int:
    if not options.quiet:
        print(text)
    return OK


def _print(accounts: Sequence[Account], columns: Sequence[str], form: str) -> int:
    rows = [[_as_text(value) for value in account[: len(columns)]] for account in accounts]
    if form == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif form == "csv":
        print_csv(columns, *rows)
    else:
        table = Table(*columns, box=None)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        out.print(table)
    return OK


def _as_text(value: object) -> str:
    return rfc3339(value, "seconds") if isinstance(value, datetime) else str(value)
