"""What a process has done, counted: it only grows, nothing twice, and each session's rows as they came."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.evidence.confirms import ConfirmTracker
from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.run.sessions import RunSessions
from promise_pub.delivery.run.totals import FATES, RunTotals
from promise_pub.errors import ConsumerTimeout
from promise_pub.parameters import Mode, Parameters
from promise_pub.records import Counts, SessionView, State, Verdict
from tests.fakes import until
from tests.house import QUICK, ROWS, House

TWO_BAD = ROWS + b"bad\nworse\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, backoffs=QUICK)


def rows(totals: RunTotals) -> dict[str, int]:
    """Those there are any of."""
    return {fate: count for fate, count in totals.rows().items() if count}


async def test_what_became_of_the_rows_of_every_run_is_counted_once(house: House) -> None:
    async with house.runs as runs:
        assert set(runs.totals.rows()) == set(FATES) and not rows(runs.totals)
        await house.finished(TWO_BAD)
        once = {"read": 5, "rejected": 2, "published": 3, "confirmed": 3, "received": 3, "saved": 3}
        assert rows(runs.totals) == rows(runs.totals) == once
        await house.finished(TWO_BAD)
        again = {fate: 2 * count for fate, count in once.items()}
        assert rows(runs.totals) == again | {"saved": 3}, "their mails were saved before"
        assert runs.totals.ended == {(State.COMPLETED, Verdict.KEPT): 2}
        assert runs.totals.latency().count == 6


async def test_the_rows_of_a_run_that_goes_count_as_they_come(house: House) -> None:
    async with house.runs as runs:
        async with house.holding("remove"):
            run = await house.submit(TWO_BAD, Parameters(mode=Mode.LIVE))
            await until(lambda: house.state(run) is State.DRAINING)
            assert rows(runs.totals)["confirmed"] == 3 and not runs.totals.ended
            assert runs.totals.latency().count == 3
        await run.done.wait()
        assert rows(runs.totals)["confirmed"] == 3 and runs.totals.latency().count == 3


async def test_runs_that_fail_or_never_have_their_turn_end_too(house: House) -> None:
    house.consumer.fail["process batch"] = ConsumerTimeout()
    async with house.runs as runs:
        await house.finished()
        async with house.holding("create"):
            going, waiting = await house.submit(), await house.submit()
            await until(lambda: house.state(going) is State.NEGOTIATING)
            await runs.cancel(waiting.id)
            await runs.cancel(going.id)
            await going.done.wait()
        async with house.holding("create"):
            await house.submit()
            await house.submit()
            await asyncio.sleep(0.01)
            await runs.stop()
    assert runs.totals.ended == {
        (State.FAILED, None): 1,
        (State.CANCELLED, None): 2,
        (State.INTERRUPTED, None): 2,
    }


async def test_what_a_resumed_run_did_before_is_not_counted_again(tmp_path: Path) -> None:
    first = House(tmp_path)
    first.consumer.fail["process batch"] = ConsumerTimeout()
    async with first.runs:
        run = await first.finished(TWO_BAD)
    assert rows(first.runs.totals)["confirmed"] == 3
    second = House(tmp_path)
    second.ledger.runs = first.ledger.runs
    async with second.runs as runs:
        again = await runs.resume(run.id)
        await again.done.wait()
        assert again.report().state is State.COMPLETED
        # Its session is gone, so all its rows go to a new one: they are published again, and read again.
        counted = rows(runs.totals)
    assert "rejected" not in counted and "published" not in counted
    assert counted == {"confirmed": 3, "resent": 3, "received": 3, "saved": 3}


async def test_what_goes_to_a_new_session_counts_again_and_nothing_is_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker comes back without the queue; counts of the run fall, and what confirms there were is still known."""
    confirms = 0
    plain = ConfirmTracker.ack

    def ack(self: ConfirmTracker, tag: int, *, multiple: bool, at: float) -> None:
        nonlocal confirms
        before = self.confirmed
        plain(self, tag, multiple=multiple, at=at)
        confirms += self.confirmed - before

    monkeypatch.setattr(ConfirmTracker, "ack", ack)
    people = b"".join(b"N%d,%d@x\n" % (n, n) for n in range(60))
    async with house.runs as runs:
        run = await house.submit(people, Parameters(mode=Mode.BATCH, rate=300))
        for loss in (20, 40):
            await until(lambda loss=loss: run.counts().confirmed > loss)
            house.broker.queues.clear()
            house.broker.cut()
            await until(lambda loss=loss: run.counts().confirmed < loss)
            if loss == 40:  # once with a look in between, once without
                runs.totals.update()
        await run.done.wait()
        counted = rows(runs.totals)
    assert run.report().counts.confirmed == 60 < confirms
    assert counted["confirmed"] == confirms == runs.totals.latency().count
    assert counted["published"] == 60
    assert counted["resent"] == run.report().counts.resent
    assert counted["received"] == counted["saved"] == 60


def test_rows_that_another_session_gets_again_count_once() -> None:
    """A session that ends accounts for 80 of the 100 rows that it received; the next one gets the others."""
    run: Any = SimpleNamespace(counts=Counts, latency=LatencyHistogram(), sessions=RunSessions(SessionView("a", 0, 0)))
    totals = RunTotals()
    totals.begin(run)
    run.sessions.see(SessionView("a", 100, 80))
    totals.update()
    run.sessions.end_current(1, 80)
    for received in (0, 20, 50):
        run.sessions.see(SessionView("b", received, received))
        totals.update()
    told = rows(totals)
    assert (told["received"], told["saved"]) == (130, 130)
    assert (run.sessions.totals.received, run.sessions.totals.saved) == (130, 130)


@given(st.lists(st.tuples(st.floats(0, 20_000), st.integers(1, 50)), max_size=30))
def test_a_histogram_told_by_bounds_is_the_same_within_two_per_cent(
    entries: list[tuple[float, int]],
) -> None:
    bounds = [1.0, 2.5, 10.0, 100.0, 1000.0, 10_000.0]
    one, other = LatencyHistogram(), LatencyHistogram()
    for index, (milliseconds, count) in enumerate(entries):
        (one if index % 2 else other).add(milliseconds, count)
    one.merge(other)
    counts = one.up_to(bounds)
    assert counts == sorted(counts) and all(count <= one.count for count in counts)
    assert one.count == sum(count for _, count in entries)
    assert one.sum == pytest.approx(sum(value * count for value, count in entries))
    for bound, counted in zip(bounds, counts, strict=True):
        assert counted >= sum(count for value, count in entries if value <= bound)
        assert counted <= sum(count for value, count in entries if value <= bound * 1.02001)


def test_what_was_added_since_a_copy_has_its_own_sum() -> None:
    histogram = LatencyHistogram()
    histogram.add(10.0, 2)
    copy = histogram.copy()
    histogram.add(5.0, 3)
    recent = histogram.since(copy)
    assert (recent.sum, recent.count) == (15.0, 3)
    assert (copy.sum, copy.count) == (20.0, 2)
