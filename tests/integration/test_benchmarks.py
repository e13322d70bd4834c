"""The benchmarks run by hand; that they still fit what they measure is seen here."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from benchmarks.measure import Bench
from benchmarks.parts.rate import rate
from benchmarks.rows import RowFiles
from benchmarks.services import services
from promise_pub.local.postgres_home import PLACES_VARIABLE
from tests.integration import stacks


async def test_what_the_benchmarks_measure_with_starts_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PLACES_VARIABLE, os.environ[PLACES_VARIABLE])  # which they set
    async with services(stacks.quiet) as started:
        assert set(started.versions) == {"RabbitMQ", "PostgreSQL"}
        folder = started.folder
        bench = Bench(started, RowFiles(folder), rounds=1, rows=1000, quick=True)
        section = await rate(bench)  # it sends a file, and fails where not every row arrived
        assert section.table and section.targets
    assert not folder.exists()


async def test_the_benchmarks_explain_themselves() -> None:
    """Every part is imported for that, with all that it imports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks", "--help", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0 and b"publish, window, saved" in output
