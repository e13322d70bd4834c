"""Runs among fakes."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.queue.runs import Runs
from promise_pub.delivery.run.active import ActiveRun
from promise_pub.delivery.run.backoffs import BACKOFFS, Backoffs
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import State
from promise_pub.retries import Backoff
from tests.fakes import FakeBroker, FakeConsumer, FakeLedger

ROWS = b"Ann,ann@x\nBob,bob@x\nCid,cid@x\n"
BATCH = Parameters(mode=Mode.BATCH)
QUICK = Backoffs(
    broker=Backoff(0.0, 0.0, within=120.0),
    database=Backoff(0.01, 0.01, within=60.0),
    last_write=Backoff(0.01, 0.01, within=0.02),
)


class House:
    """Runs among fakes."""

    def __init__(self, folder: Path, max_waiting: int = 100, backoffs: Backoffs = BACKOFFS) -> None:
        self.broker = FakeBroker()
        self.ledger = FakeLedger()
        self.consumer = FakeConsumer(self.broker, self.ledger)
        self.uploads = Uploads(folder, limit=1 << 30, keep_days=30)
        self.uploads.prepare()
        self.folder = folder
        self._max_waiting, self._backoffs = max_waiting, backoffs
        self.runs = self.make_runs()

    def make_runs(self) -> Runs:
        """Returns the runs of the next server."""
        return Runs(
            self.ledger, self.consumer, self.broker.open_publisher, self.uploads, self._max_waiting, self._backoffs
        )

    async def submit(self, text: bytes = ROWS, parameters: Parameters = BATCH) -> ActiveRun:
        run_id = self.runs.admit()
        async with self.uploads.receive(run_id) as upload:
            await upload.write(text)
            stored = await upload.finish("data.csv")
            return await self.runs.submit(run_id, stored, parameters)

    async def finished(self, text: bytes = ROWS, parameters: Parameters = BATCH) -> ActiveRun:
        run = await self.submit(text, parameters)
        await asyncio.wait_for(run.done.wait(), 30)
        return run

    def holding(self, step: str) -> AbstractAsyncContextManager[None]:
        """While the block goes, runs stop at this step of the consumer's."""
        return self.consumer.holding(step)

    def state(self, run: ActiveRun) -> State:
        return self.runs.report(run).state

    def recorded(self, run: ActiveRun) -> Any:
        return self.ledger.runs[run.id]
