"""Steps of a run that need the database, and wait for one that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from promise_pub.errors import DatabaseError
from promise_pub.retries import Patience

T = TypeVar("T")

PATIENCE = 60.0  # seconds in which a step that needs the database is tried
PATIENT_EVERY = 0.5  # seconds between its tries


async def patiently(step: Callable[[], Awaitable[T]]) -> T:
    """Does a step that needs the database, and again for a minute while it is away. Raises DatabaseError."""
    patience = Patience(PATIENCE, PATIENT_EVERY, PATIENT_EVERY)
    while True:
        try:
            return await step()
        except DatabaseError as error:
            await patience.wait(error)
