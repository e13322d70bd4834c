"""A run among fakes while everything around it fails, in any order: nothing is lost, and what is told is true."""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from promise_pub.delivery import runs as runs_module
from promise_pub.delivery.progress import ActiveRun
from promise_pub.delivery.reader import read_batches
from promise_pub.delivery.runs import Runs
from promise_pub.errors import (
    BrokerUnreachable,
    DatabaseError,
    DatabaseUnavailable,
    NotCancellable,
    NotResumable,
)
from promise_pub.records import Mode, Parameters, RunReport, State, Verdict
from tests.fakes import Message
from tests.house import House
from tests.virtual_time import VirtualTimeLoop, without_threads

ROWS = 40
CANCEL_WITHIN = 2.0  # seconds
MAILS = [f"{n}@x" if n % 7 else "again@x" for n in range(ROWS)]  # some stand more than once
TEXT = b"".join(
    b"N%d,%b\n" % (n, mail.encode()) + b"no row\n" * (n % 5 == 0) for n, mail in enumerate(MAILS)
)
SECONDS = st.sampled_from([0.0, 0.02, 0.06, 0.3, 1.0, 2.5, 20.0, 70.0])


class AnyOrder(RuleBasedStateMachine):
    """Rules do what may happen at any moment; time passes between them. What they do not allow, they leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = VirtualTimeLoop()
        self.stack.callback(self.loop.close)
        self.stack.enter_context(without_threads())
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        small = partial(read_batches, chunk_size=64)
        self.stack.enter_context(patch.object(runs_module, "read_batches", small))
        self.house = House(Path(folder))
        self.house.broker.window = 4
        self.house.consumer.look_every = 1.0
        self.taken: set[tuple[str, int]] = set()  # rows that a queue ever held
        self.house.broker.take = self.note(self.house.broker.take)  # type: ignore[method-assign]
        self.house.ledger.employees.append("old@x")
        self.lossy = False  # rows came back because their queue was deleted
        self.checkpoint = (0, 0)
        self.run: ActiveRun

    def note(self, take: Any) -> Any:
        def noted(queue: str, message: Message) -> str:
            outcome: str = take(queue, message)
            if outcome == "ack":
                self.taken.add((queue, int(message.message_id.rpartition(":")[2])))
            return outcome

        return noted

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def pass_by(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)
