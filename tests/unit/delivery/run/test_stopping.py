"""Why a run is stopped, and how it ends then."""

from __future__ import annotations

import pytest

from promise_pub.delivery.run.stopping import StopReason
from promise_pub.records import State


@pytest.mark.parametrize("reason", StopReason)
def test_each_reason_has_an_end_and_a_message(reason: StopReason) -> None:
    state, fault = reason.end(State.PUBLISHING)
    assert state.final and fault.code == state.value
    assert fault.message.endswith(".") and "{" not in fault.message


def test_a_user_cancels_and_everything_else_interrupts() -> None:
    ends = {reason: reason.end(State.QUEUED)[0] for reason in StopReason}
    assert ends.pop(StopReason.USER) is State.CANCELLED
    assert {*ends.values()} == {State.INTERRUPTED}


def test_a_session_is_lost_to_another_server_by_an_eviction_only() -> None:
    assert {reason for reason in StopReason if reason.evicts} == {StopReason.TURN_LOST, StopReason.RUN_TAKEN}
