"""A run of a job without a database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any


class FakeStep:
    """A step, whose cookies and progress count once its block has ended."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cookies: dict[str, Any] = {}
        self.told: list[tuple[int, int | None, str]] = []

    async def progress(self, done: int, total: int | None, message: str) -> None:
        self.told.append((done, total, message))

    async def keep(self, name: str, value: Any) -> None:
        self.cookies[name] = value


class FakeWork:
    """A run whose steps have this connection. `fails_at` is the number of the step that is not committed, from 1."""

    def __init__(self, now: datetime, arguments: Mapping[str, str] | None = None, connection: Any = None) -> None:
        self.now = now
        self.arguments = arguments or {}
        self.cookies: dict[str, Any] = {}
        self.told: list[tuple[int, int | None, str]] = []
        self.steps = 0
        self.fails_at = 0
        self._connection = connection

    async def cookie(self, name: str) -> Any:
        return self.cookies.get(name)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[FakeStep]:
        step = FakeStep(self._connection)
        yield step
        self.steps += 1
        if self.steps == self.fails_at:
            raise ConnectionError("It is not committed.")
        self.cookies |= step.cookies
        self.told += step.told
