"""Events that are told of a run add up to its report, whatever is lost, told again, or killed in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.telling import FATES, NO_NEWS, TELL_EVERY, RunTelling, count_fates, tell_cleared
from promise_pub.event_records import OutboxEvent, Told
from promise_pub.records import Counts, Fault, Resent, RunReport, SessionView, State, Verdict
from tests.run_parts import RUN, STARTED, ended, report


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Kept:
    """What a ledger keeps: the report, what was told, and an outbox that drops what it has, by id."""

    report: RunReport
    told: Told = Told()
    outbox: dict[str, OutboxEvent] = field(default_factory=dict)

    def write(self, run: RunReport, telling: RunTelling, *, stored: bool = True, answered: bool = True) -> None:
        news = telling.tell(run)
        if stored:
            self.report, self.told = run, news.told or self.told
            for event in news.events:
                self.outbox.setdefault(event.message_id, event)
        if stored and answered:
            telling.confirm(news)

    def sums(self) -> Counter[str]:
        sums: Counter[str] = Counter()
        for event in self.outbox.values():
            sums.update(event.body.get("rows", {}))
        return sums

    def topics(self) -> list[str]:
        return [event.topic for event in self.outbox.values()]


def queued() -> RunReport:
    return report(state=State.QUEUED, started_at=None, counts=Counts(), session=None)


def test_a_run_is_queued_started_goes_on_and_ends() -> None:
    clock, kept = Clock(), Kept(queued())
    telling = RunTelling(clock=clock)
    kept.write(kept.report, telling)
    kept.write(report(state=State.NEGOTIATING, counts=Counts()), telling)
    for _ in range(5):
        clock.now += 3
        kept.write(report(counts=Counts(read=int(clock.now))), telling)
    kept.write(ended(counts=Counts(read=20)), telling)
    kept.write(ended(counts=Counts(read=20)), telling)
    assert kept.topics() == ["run.queued", "run.started", "run.progress", "run.ended"]
    assert [event.body.get("rows", {}).get("read") for event in kept.outbox.values()] == [None, None, 12, 8]
    assert [*kept.outbox] == [f"{RUN}:e{number}" for number in range(1, 5)]


def test_a_quick_run_is_started_and_ended_at_once_and_one_whose_turn_never_came_is_not_started() -> None:
    for turns, topics in ((True, ["run.queued", "run.started", "run.ended"]), (False, ["run.queued", "run.ended"])):
        kept, telling = Kept(queued()), RunTelling()
        kept.write(kept.report, telling)
        if turns:
            telling.note_turn()
        kept.write(ended(), telling)
        assert kept.topics() == topics
        assert kept.sums()["confirmed"] == ended().counts.confirmed


def test_nothing_is_told_while_nothing_changes() -> None:
    clock, kept = Clock(), Kept(queued())
    telling = RunTelling(clock=clock)
    kept.write(kept.report, telling)
    for _ in range(3):
        clock.now += TELL_EVERY
        kept.write(report(counts=Counts(), session=None), telling)
    assert kept.topics() == ["run.queued", "run.started"]
    assert telling.tell(report(counts=Counts(), session=None)) == NO_NEWS


def test_a_change_of_state_alone_is_progress() -> None:
    clock, kept = Clock(), Kept(queued())
    telling = RunTelling(clock=clock)
    kept.write(report(), telling)
    kept.write(report(), telling)
    clock.now += TELL_EVERY
    kept.write(report(state=State.DRAINING), telling)
    assert kept.topics()[-1] == "run.progress"


def test_a_run_that_is_resumed_is_queued_and_started_again() -> None:
    kept = Kept(queued())
    telling = RunTelling()
    for run in (kept.report, report(), report(state=State.FAILED, error=Fault("broker_lost", "gone"))):
        kept.write(run, telling)
    telling = RunTelling(kept.told)
    for run in (replace(queued(), counts=Counts(read=7)), report(), ended()):
        kept.write(run, telling)
    assert kept.topics() == ["run.queued", "run.started", "run.ended"] * 2
    again = kept.outbox[f"{RUN}:e4"]
    assert again.body["resumed"] is True
    assert "rows" not in again.body, "its row stays as it was until its turn comes"
    assert kept.sums() == Counter({k: v for k, v in count_fates(ended().counts, ended().totals).items() if v})


def test_a_run_of_an_older_version_is_told_whole_when_it_goes_on() -> None:
    kept = Kept(report())
    kept.write(report(state=State.INTERRUPTED), RunTelling())
    assert kept.topics() == ["run.ended"]
    assert kept.sums()["confirmed"] == report().counts.confirmed


def test_a_state_of_another_version_keeps_no_end_from_being_told() -> None:
    telling = RunTelling(Told(4, "paused", {"read": 1}))
    (event,) = telling.tell(ended()).events
    assert (event.topic, event.message_id) == ("run.ended", f"{RUN}:e5")
    assert event.body["rows"]["read"] == ended().counts.read - 1


def test_the_end_tells_all_that_there_is_to_tell() -> None:
    telling = RunTelling()
    latency = LatencyHistogram()
    latency.add(1.0, 3)
    telling.note_latency(latency)
    latency = LatencyHistogram()  # a new session
    latency.add(1.0, 2)
    telling.note_latency(latency)
    run = ended(Verdict.KEPT, resends=(Resent(3, "a connection was lost"),), started_by="ann")
    (event,) = telling.tell(run).events
    assert event.actor == "ann" and event.subject == RUN and event.at == STARTED
    assert event.body == {
        "run": RUN,
        "rows": {
            "read": 100_002,
            "rejected": 2,
            "published": 100_000,
            "confirmed": 100_000,
            "received": 100_000,
            "saved": 99_000,
        },
        "state": "completed",
        "latency": {"233": 5},
        "verdict": "kept",
        "error": None,
        "totals": count_fates(run.counts, run.totals),
        "seconds": {"queued": 1.0, "negotiating": 0.0, "publishing": 8.0, "draining": 1.25, "total": 10.25},
        "resends": [{"rows": 3, "reason": "a connection was lost"}],
        "file": {"name": "data.csv", "bytes": 2_000_000, "sha256": "5e" * 32},
        "mode": "live",
    }


def test_a_cleared_table_is_told_once() -> None:
    first, again = tell_cleared(report(), 7), tell_cleared(report(), 0)
    assert first.message_id == again.message_id == f"{RUN}:cleared"
    assert first.body == {"run": RUN, "rows": 7}


amounts = st.integers(0, 50)


@st.composite
def reports(draw: st.DrawFn) -> RunReport:
    """Counts that may fall, as those of a run do when it loses a session."""
    counts = Counts(*(draw(amounts) for _ in range(7)))
    session = SessionView("s", *(draw(st.none() | amounts) for _ in range(4)))
    state = draw(st.sampled_from([State.QUEUED, State.NEGOTIATING, State.PUBLISHING, State.DRAINING]))
    return report(state=state, counts=counts, session=session)


steps = st.tuples(reports(), st.sampled_from(["written", "in doubt", "lost", "killed"]), st.integers(0, 15))


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
def test_the_sum_of_its_events_is_its_report(course: list[tuple[RunReport, str, int]]) -> None:
    clock, kept = Clock(), Kept(queued())
    telling = RunTelling(clock=clock)
    kept.write(kept.report, telling)
    for run, fate, seconds in course:
        clock.now += seconds
        if State(telling.recorded.state or "queued").final:
            # It was interrupted: it is queued again, and its row keeps its counts.
            kept.write(replace(kept.report, state=State.QUEUED, finished_at=None), telling)
            continue
        if run.state is State.QUEUED:
            continue
        kept.write(run, telling, stored=fate != "lost", answered=fate not in ("lost", "in doubt"))
        if fate == "killed":
            # Another server ends the run as it was recorded.
            telling = RunTelling(kept.told, clock)
            kept.write(replace(kept.report, state=State.INTERRUPTED, finished_at=STARTED), telling)
            telling = RunTelling(kept.told, clock)
    kept.write(replace(kept.report, state=State.FAILED, finished_at=STARTED), telling)
    wanted = count_fates(kept.report.counts, kept.report.totals)
    assert {fate: kept.sums()[fate] for fate in FATES} == wanted
    numbers = [int(message_id.rpartition(":e")[2]) for message_id in kept.outbox]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert kept.topics()[-1] == "run.ended"
