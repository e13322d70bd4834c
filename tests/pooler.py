"""PgBouncer before the tests' database, as a process of a test's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from promise_pub.settings.model import DatabaseSettings
from tests.web_parts import until

START_TIMEOUT = 30.0  # seconds


def program() -> str:
    """PgBouncer's. Not there, not in CI: no test."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if not found:
        reason = "PgBouncer is not installed: apt-get install --no-install-recommends pgbouncer"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(found)


def _configure(folder: Path, database: DatabaseSettings, options: Mapping[str, object]) -> Path:
    """The configuration file, in a folder of PgBouncer's own."""
    folder.mkdir(mode=0o700)
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{database.user}" "{database.password}"\n', encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in {**options, "auth_file": users}.items()]
    target = f"* = host={database.host} port={database.port}"
    configuration.write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines]), "utf-8")
    if os.geteuid() == 0:
        for path in (folder, users, configuration):
            shutil.chown(path, "nobody")
    return configuration


@asynccontextmanager
async def pooled(
    database: DatabaseSettings, folder: Path, port: int, mode: str, **options: object
) -> AsyncIterator[DatabaseSettings]:
    """What reaches the database through a pooler in this mode, as long as the block lasts."""
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "pool_mode": mode,
        **options,
    }
    configuration = await asyncio.to_thread(_configure, folder, database, settings)
    # It refuses to run as root. PostgreSQL then runs as nobody too, and lets only that account in.
    account = ("-u", "nobody") if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        program(), "-q", *account, configuration, stdout=sys.stderr, stderr=sys.stderr
    )

    async def listens() -> bool:
        assert process.returncode is None, "PgBouncer ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    try:
        await until(listens, START_TIMEOUT)
        yield replace(database, host="127.0.0.1", port=port)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
