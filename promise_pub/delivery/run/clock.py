"""The states of a run, which may follow which, and how long each lasted."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from promise_pub.records import Seconds, State

_EARLY_ENDS = frozenset({State.FAILED, State.CANCELLED, State.INTERRUPTED})

# A lost session takes a run back to negotiating, from wherever it is. Nothing follows a final state: a run that is
# resumed is queued anew.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: _EARLY_ENDS | {State.NEGOTIATING},
    State.NEGOTIATING: _EARLY_ENDS | {State.NEGOTIATING, State.PUBLISHING},
    State.PUBLISHING: _EARLY_ENDS | {State.NEGOTIATING, State.DRAINING},
    State.DRAINING: _EARLY_ENDS | {State.NEGOTIATING, State.COMPLETED},
    **{state: frozenset() for state in State if state.final},
}


class RunClock:
    """The state of one run, its times of day, and the seconds spent in each state over all its turns.

    `spent` are the seconds of earlier turns. Durations come from `monotonic`, so a clock that is set back changes none.
    """

    def __init__(
        self,
        created_at: datetime | None = None,
        started_at: datetime | None = None,
        spent: Seconds | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.created_at = created_at or datetime.now(UTC)
        self.started_at = started_at
        self.finished_at: datetime | None = None
        self.state = State.QUEUED
        self._monotonic = monotonic
        self._since = monotonic()
        self._seconds = defaultdict(float, asdict(spent or Seconds()))
        del self._seconds["total"]

    def start(self) -> None:
        """Enters NEGOTIATING, and notes when the first turn began."""
        self.started_at = self.started_at or datetime.now(UTC)
        self.enter(State.NEGOTIATING)

    def enter(self, state: State) -> None:
        """Changes the state. Raises RuntimeError where TRANSITIONS does not allow it."""
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"A run that is {self.state.value} cannot become {state.value}.")
        now = self._monotonic()
        self._seconds[self.state.value] += now - self._since
        self.state, self._since = state, now
        if state.final:
            self.finished_at = datetime.now(UTC)

    @property
    def seconds(self) -> Seconds:
        """Seconds in each state up to now, or up to the end."""
        spent = self._seconds.copy()
        if not self.state.final:
            spent[self.state.value] += self._monotonic() - self._since
        return Seconds(**spent, total=sum(spent.values()))
