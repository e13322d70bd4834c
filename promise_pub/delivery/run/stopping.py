"""Reasons to stop a run before it ends by itself, and how it ends then."""

from __future__ import annotations

from enum import IntEnum

from promise_pub.errors import Cancelled, Interrupted
from promise_pub.records import Fault, State


class StopReason(IntEnum):
    """A reason to stop a run. Where there are several, the greatest decides how it ends."""

    SHUTDOWN = 1
    TURN_LOST = 2
    """The lock of the turn is lost: another server may be talking to the consumer."""
    RUN_TAKEN = 3
    """Another server has resumed the run."""
    RUN_DELETED = 4
    """Somebody has deleted the run in the database."""
    USER = 5
    """A user cancelled the run, and waits for its end."""

    @property
    def evicts(self) -> bool:
        """True when the session is no longer this server's to end: it may be another's by now."""
        return self in (StopReason.TURN_LOST, StopReason.RUN_TAKEN)

    def end(self, state: State) -> tuple[State, Fault]:
        """Returns the final state of a run that is stopped in `state`, and the fault that is recorded."""
        if self is StopReason.USER:
            return State.CANCELLED, Fault(Cancelled.code, Cancelled.default_message())
        return State.INTERRUPTED, Fault(Interrupted.code, _INTERRUPTIONS[self].format(state=state.value))


_INTERRUPTIONS = {
    StopReason.SHUTDOWN: "The server was stopped while the run was {state}.",
    StopReason.TURN_LOST: "Another server talks to the consumer: this one lost its lock in the database.",
    StopReason.RUN_TAKEN: "Another server on this database has taken the run.",
    StopReason.RUN_DELETED: "Somebody deleted the run in the database while it was {state}.",
}
