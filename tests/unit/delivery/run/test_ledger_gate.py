"""The gate between a run and its ledger: open, closed for a while, or closed for good."""

from __future__ import annotations

import asyncio

import pytest

from promise_pub.delivery.run import ledger_gate
from promise_pub.delivery.run.ledger_gate import LedgerGate
from promise_pub.errors import DatabaseError, DatabaseRefused, DatabaseUnavailable

AWAY = DatabaseUnavailable("Connection refused.")


async def waiting(gate: LedgerGate) -> asyncio.Task[None]:
    task = asyncio.create_task(gate.wait_open())
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_it_opens_when_the_ledger_is_back() -> None:
    gate = LedgerGate()
    await gate.wait_open()
    gate.report(AWAY)
    task = await waiting(gate)
    gate.report(None)
    await asyncio.wait_for(task, 20)


@pytest.mark.parametrize("refusal", [DatabaseRefused("no"), DatabaseError("no such column")])
async def test_a_refusal_is_raised_at_once(refusal: DatabaseError) -> None:
    gate = LedgerGate()
    gate.report(AWAY)
    task = await waiting(gate)
    gate.report(refusal)
    with pytest.raises(type(refusal)) as caught:
        await asyncio.wait_for(task, 20)
    assert caught.value is refusal


async def test_patience_counts_from_the_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_gate, "LEDGER_PATIENCE", 0.02)
    gate = LedgerGate()
    gate.report(DatabaseUnavailable("The first."))
    gate.report(AWAY)
    with pytest.raises(DatabaseUnavailable, match=r"away for 0.02 s.*Connection refused\."):
        await asyncio.wait_for(gate.wait_open(), 20)
