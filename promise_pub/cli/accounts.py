"""`user` and `token`: who may log in. Passwords are asked for: every user of a machine can read its commands' arguments."""

from __future__ import annotations

import argparse
import csv
import getpass
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from rich.table import Table

from promise_pub import db
from promise_pub.accounts.passwords import Passwords, checked_password
from promise_pub.accounts.people import Account, Role, checked_name
from promise_pub.accounts.store import StoredAccounts
from promise_pub.errors import BadParameter
from promise_pub.settings import model
from promise_pub.terminal import OK, CommandParsers, add_format, out
from promise_pub.times import rfc3339

DAYS = 90  # a token is valid by default
MAX_DAYS = 3650


def add_commands(commands: CommandParsers) -> None:
    _add_user_commands(
        commands.add_group("user", "manage the users who may log in", "promise-pub user add ann --role operator")
    )
    _add_token_commands(
        commands.add_group("token", "manage the tokens of scripts", "promise-pub token add ci --days 30")
    )


def _add_user_commands(users: CommandParsers) -> None:
    adding = users.add("add", add_user, "add a user; asks for the password", "promise-pub user add ann --role operator")
    _add_name(adding)
    _add_role(adding)
    add_format(users.add("list", list_users, "list the users", "promise-pub user list --format json"))
    _add_name(
        users.add("remove", remove_user, "remove a user and end their sessions at once", "promise-pub user remove ann")
    )
    _add_name(
        users.add(
            "password", change_password, "set a new password; ends the user's sessions", "promise-pub user password ann"
        )
    )


def _add_token_commands(tokens: CommandParsers) -> None:
    adding = tokens.add(
        "add",
        add_token,
        "create a token for a script; it is shown only once",
        "promise-pub token add ci --role operator --days 30",
    )
    _add_name(adding)
    _add_role(adding)
    adding.add_argument("--days", type=int, default=DAYS, help=f"how long it is valid (default: {DAYS})")
    add_format(
        tokens.add("list", list_tokens, "list the tokens and when they expire", "promise-pub token list --format json")
    )
    _add_name(tokens.add("revoke", revoke_token, "revoke a token at once", "promise-pub token revoke ci"))


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the user's or the token's name")


def _add_role(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        choices=[role.value for role in Role],
        default=Role.VIEWER.value,
        help="viewer: may look (default); operator: may also run, cancel, resume and clear",
    )


# Both commands that ask for a password do so before the event loop starts, which it would block.


def add_user(options: argparse.Namespace) -> Awaitable[int]:
    settings, name = options.load_settings(), checked_name(options.name)
    return _add_user(options, settings, name, _new_password(name))


async def _add_user(options: argparse.Namespace, settings: model.Settings, name: str, password: str) -> int:
    async with _accounts(settings) as accounts:
        await accounts.add_user(name, Role(options.role), await Passwords().hash(password))
    _say(options, f"{name} may log in, as {options.role}.")
    return OK


def change_password(options: argparse.Namespace) -> Awaitable[int]:
    settings, name = options.load_settings(), checked_name(options.name)
    return _change_password(options, settings, name, _new_password(name))


async def _change_password(options: argparse.Namespace, settings: model.Settings, name: str, password: str) -> int:
    async with _accounts(settings) as accounts:
        await accounts.change_password(name, await Passwords().hash(password))
    _say(options, f"{name} has a new password, and has to log in again.")
    return OK


async def remove_user(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        await accounts.remove_user(options.name)
    _say(options, f"{options.name} may not log in any more.")
    return OK


async def list_users(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        _print(await accounts.users(), ("name", "role", "created_at"), options.format)
    return OK


async def add_token(options: argparse.Namespace) -> int:
    name = checked_name(options.name)
    if not 1 <= options.days <= MAX_DAYS:
        raise BadParameter(f"--days must be from 1 to {MAX_DAYS}, not {options.days}")
    async with _accounts(options.load_settings()) as accounts:
        token, expires_at = await accounts.add_token(name, Role(options.role), options.days)
    print(token)
    if not options.quiet:
        until = f"{expires_at:%Y-%m-%d %H:%M} UTC"
        print(f"This token of a {options.role} is shown only now. It lasts until {until}.", file=sys.stderr)
    return OK


async def revoke_token(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        await accounts.revoke_token(options.name)
    _say(options, f"The token {options.name} lets nobody in any more.")
    return OK


async def list_tokens(options: argparse.Namespace) -> int:
    async with _accounts(options.load_settings()) as accounts:
        _print(await accounts.tokens(), Account._fields, options.format)
    return OK


@asynccontextmanager
async def _accounts(settings: model.Settings) -> AsyncIterator[StoredAccounts]:
    async with db.open_pool(settings.database, max_size=1) as pool:
        yield StoredAccounts(pool)


def _new_password(name: str) -> str:
    """Asks twice on a terminal, without echo; otherwise reads a line of the standard input."""
    if sys.stdin is None or not sys.stdin.isatty():
        line = sys.stdin.readline() if sys.stdin else ""
        return checked_password(line.rstrip("\r\n"))
    with _interruptible():
        password = checked_password(getpass.getpass(f"Password for {name}: "))
        if getpass.getpass("Once more: ") != password:
            raise BadParameter("the two passwords differ: nothing was changed")
    return password


@contextmanager
def _interruptible() -> Iterator[None]:
    """Has Ctrl-C raise within the block, so that the terminal's echo is switched on again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, EOFError):
        raise BadParameter("no password was given: nothing was changed") from None
    finally:
        signal.signal(signal.SIGINT, before)


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text)


def _print(accounts: Sequence[Account], columns: Sequence[str], form: str) -> None:
    rows = [[_cell(getattr(account, column)) for column in columns] for account in accounts]
    if form == "json":
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    elif form == "csv":
        csv.writer(sys.stdout).writerows([columns, *rows])
    else:
        table = Table(*columns, box=None)
        for row in rows:
            table.add_row(*row)
        out.print(table)


def _cell(value: str | datetime) -> str:
    if isinstance(value, datetime):
        return rfc3339(value, "seconds")
    return str(value)
