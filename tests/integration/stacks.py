"""What the tests of the local stack share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import asyncpg
import psutil

from promise_pub import app
from promise_pub.local import LocalStack
from promise_pub.settings import inifile, model
from promise_pub.settings.inifile import Values
from promise_pub.settings.model import DatabaseSettings, RabbitSettings, Settings

# A consumer as far as the stack knows it: it reads its configuration, says where it listens, and goes on talking.
CONSUMER = """
import asyncio, sys
from promise_pub.settings import model
async def main():
    settings = model.load()
    assert settings.consumer.port == 0, settings
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    print(settings.database.dbname, settings.rabbit.window, file=sys.stderr, flush=True)
    while True:
        print("x" * 10_000, flush=True)
        await asyncio.sleep(0.05)
asyncio.run(main())
"""

A_CONSUMER: Values = {"consumer": {"host": "127.0.0.1", "port": "1"}}
"""A consumer that is configured, so that none is started."""


def names(processes: Iterable[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def all_but(*sections: str, **settings: RabbitSettings | DatabaseSettings) -> Values:
    """A configuration that lacks these sections only."""
    known = {**A_CONSUMER, **{name: inifile.options(each) for name, each in settings.items()}}
    known.setdefault("rabbit", {"host": "127.0.0.1"})
    known.setdefault("database", {"dbname": "none", "user": "none", "password": ""})
    return {name: options for name, options in known.items() if name not in sections}


def quiet(_: str) -> None:
    """The tests' output is pytest's."""


@contextlib.asynccontextmanager
async def stack(state: Path, values: Values) -> AsyncIterator[Settings]:
    async with LocalStack(state, values, report=quiet, warn=quiet) as settings:
        yield settings


async def fetch(database: DatabaseSettings, query: str) -> object:
    connection = await asyncpg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.dbname,
        timeout=30,
    )
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close(timeout=30)


def loaded(path: Path) -> Settings:
    """A configuration file as a command sees it that is given it."""
    return model.load(path, {}, app.sections_of(app.FEATURES))
