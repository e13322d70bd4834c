"""Jobs: what is done by the clock, or when somebody asks, in steps that are each one transaction. Pure.

A feature declares its jobs; whoever runs them hands each a Work. A run may be cut off after any step, by a kill of its
server at the latest, and is then begun anew: what it has to go on from it keeps as a cookie, together with its work.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from promise_pub.errors import BadParameter
from promise_pub.schedules import Schedule

ATTEMPTS = 5
_NAME = re.compile("[a-z][a-z0-9-]{0,31}")


class Step(Protocol):
    """A transaction of a run, on this connection of asyncpg. It is committed with its block.

    It is taken back after ten minutes, or one in which nothing is asked of the database: a server may be gone.
    """

    connection: Any

    async def progress(self, done: int, total: int | None, message: str) -> None:
        """Tells how much is done once the step is committed, of how much where that is known, and in words."""

    async def keep(self, name: str, value: Any) -> None:
        """Keeps a cookie: JSON that later steps and runs of this job find under its name."""


class Work(Protocol):
    """A run of a job. `now` is the time of the database, in UTC, when it began."""

    arguments: Mapping[str, str]
    now: datetime

    async def cookie(self, name: str) -> Any:
        """Returns what was kept under a name by the newest step that was committed, None where nothing was."""

    def step(self) -> AbstractAsyncContextManager[Step]:
        """Opens a transaction that alone writes for this job. Raises what ends the run, which a job lets pass: that it was
        cancelled, or that it is another server's by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument that people may give to a run. `read` returns the text that is kept, or raises BadParameter.

    A flag is given without a value on the command line; its text is `yes`.
    """

    name: str
    help: str
    read: Callable[[str], str]
    is_flag: bool = False


def read_flag(text: str) -> str:
    if text.casefold() not in ("yes", "true", "on", "1"):
        raise BadParameter(f"A flag is given as yes, or not at all, not as {text[:50]!r}.")
    return "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that is done by the clock, or when somebody asks: one run at a time, over all servers on a database.

    `name` has lower-case letters, digits and hyphens, 32 at most, or ValueError is raised; `title` is a sentence. Without a
    schedule it is only run when asked. A run that fails is tried `attempts` times in all, unless its error cannot pass by
    itself.
    """

    name: str
    title: str
    run: Callable[[Work], Awaitable[None]]
    schedule: Schedule | None = None
    attempts: int = ATTEMPTS
    arguments: Sequence[Argument] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name[:50]!r} is no name of a job")
