"""The description of the API against the running server, by schemathesis: every check, every phase, no failure."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from promise_pub import db
from promise_pub.accounts.people import Role
from promise_pub.accounts.store import StoredAccounts
from promise_pub.settings.model import DatabaseSettings, RabbitSettings
from tests import consumer_parts
from tests.web_parts import ServerUnderTest, serving, settings

TESTS = Path(__file__).parents[1]
PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")
PATIENCE = 900  # seconds after which schemathesis is given up

pytestmark = pytest.mark.timeout(0)  # schemathesis has a patience of its own


@asynccontextmanager
async def a_server(
    rabbit: RabbitSettings, database: DatabaseSettings, folder: Path, **server: Any
) -> AsyncIterator[ServerUnderTest]:
    """With the bundled consumer, and a queue of runs that is never full."""
    async with (
        consumer_parts.bundled(rabbit, database) as consumer,
        serving(settings(rabbit, database, consumer, folder, max_waiting=100_000, **server)) as running,
    ):
        yield running


async def schemathesis(server: ServerUnderTest, folder: Path, examples: int, *arguments: str) -> tuple[int, str]:
    """Its exit code and what it says, of so many examples a request."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", TESTS / "data" / "schemathesis.toml"),
        *("run", f"{server.url}/openapi.json", "--checks", "all"),
        *("--phases", ",".join(PHASES).lower(), "--max-examples", str(examples), *arguments),
        *("--header", "Accept: application/json", "--no-color"),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS_FILE": str(TESTS / "schemathesis_hooks.py")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode()


def all_held(code: int, said: str) -> None:
    """No check failed, no request was left out, and no phase."""
    assert code == 0, said
    selected = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", said)
    assert selected and len(set(selected.groups())) == 1, said
    for phase in PHASES:
        assert f"✅ {phase}" in said, said
    sys.stdout.write(said)  # to be read with -s


async def test_the_server_does_what_its_description_says(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with a_server(rabbit, database, tmp_path) as server:
        validate((await server.get("/openapi.json")).json)
        all_held(*await schemathesis(server, tmp_path, 10))


async def test_a_server_with_users_does_what_its_description_says(
    rabbit: RabbitSettings, database: DatabaseSettings, tmp_path: Path
) -> None:
    async with db.open_pool(database, max_size=1) as pool:
        token, _ = await StoredAccounts(pool).add_token("ci", Role.OPERATOR, days=1)
    who = f"Authorization: Bearer {token}"
    async with a_server(rabbit, database, tmp_path, auth="users") as server:
        assert (await server.get("/openapi.json")).status == 401
        described = await server.get("/openapi.json", headers=dict([who.split(": ")]))
        validate(described.json)
        all_held(*await schemathesis(server, tmp_path, 3, "--header", who))
