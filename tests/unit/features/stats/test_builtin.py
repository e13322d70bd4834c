"""Built-in statistics, given the events that promise-pub really tells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.delivery.evidence.latency import LatencyHistogram
from promise_pub.delivery.telling import FATES, TELL_EVERY, RunTelling, count_fates
from promise_pub.event_records import OutboxEvent
from promise_pub.features.journal.described import BODIES
from promise_pub.features.stats.builtin import BUILTIN
from promise_pub.features.stats.definitions import define
from promise_pub.features.stats.fold import fold
from promise_pub.histogram import percentile_of
from promise_pub.records import Counts, Fault, Resent, RunReport, State, Verdict
from promise_pub.statistics import Event
from tests.run_parts import ended, report
from tests.stats.plugins import event, registered

DEFINITIONS = {definition.layout.name: definition for definition in (define(plugin, ours=True) for plugin in BUILTIN)}


def told(events: Iterable[OutboxEvent], prefix: str = "promise-pub", source: str = "own") -> list[Event]:
    """Returns events as the journal has them."""
    return [
        event(
            seq,
            f"{prefix}.{one.topic}",
            one.at,
            source=source,
            subject=one.subject,
            sender="promise-pub",
            category=prefix,
            body=json.dumps(one.body).encode(),
        )
        for seq, one in enumerate(events, 1)
    ]


def rows(name: str, events: Iterable[Event]) -> Mapping[str, Any]:
    """Returns the counts of all windows of the widest width together, or the entries, by key."""
    definition = DEFINITIONS[name]
    changes = fold(definition, registered(definition), events, {})
    assert not changes.left_out
    counts: Counter[str] = Counter()
    for key, cell in changes.cells.items():
        if key.width == max(definition.layout.intervals):
            counts[key.key] += cell.number
    return dict(counts) or {key.key: json.loads(entry.value) for key, entry in changes.entries.items()}


def history(*reports: RunReport, latency: LatencyHistogram | None = None) -> list[OutboxEvent]:
    """Returns all events of a run that was written with these reports, ten seconds from each to the next."""
    now = [0.0]
    telling, events = RunTelling(clock=lambda: now[0]), list[OutboxEvent]()
    for one in reports:
        now[0] += TELL_EVERY
        if latency:
            telling.note_latency(latency)
        news = telling.tell(one)
        telling.confirm(news)
        events += news.events
    return events


def test_there_are_fourteen_and_their_layouts_are_those_of_the_page() -> None:
    assert {name: (one.layout.kind, one.layout.columns, one.layout.intervals) for name, one in DEFINITIONS.items()} == {
        "runs": ("counting", ("state", "verdict", "mode"), (3_600, 86_400)),
        "run-errors": ("counting", ("code",), (3_600, 86_400)),
        "rows": ("counting", ("fate",), (60, 3_600, 86_400)),
        "confirm-latency": ("measuring", ("mode",), (3_600, 86_400)),
        "run-seconds": ("measuring", ("mode",), (86_400,)),
        "queue-seconds": ("measuring", ("mode",), (86_400,)),
        "resends": ("counting", ("reason",), (86_400,)),
        "files": ("counting", ("file", "verdict"), (86_400,)),
        "latest-runs": ("latest", ("file", "mode"), ()),
        "volume": ("counting", (), (60, 3_600, 86_400)),
        "volume-by-category": ("counting", ("category",), (60, 3_600, 86_400)),
        "volume-by-topic": ("counting", ("topic",), (60, 3_600, 86_400)),
        "senders": ("counting", ("sender",), (3_600, 86_400)),
        "logins": ("counting", ("outcome",), (86_400,)),
    }


@given(
    st.lists(st.builds(Counts, read=st.integers(0, 9), published=st.integers(0, 9), confirmed=st.integers(0, 9))),
    st.sampled_from(["promise-pub", "a.b.c", "x"]),
)
def test_the_rows_of_a_run_add_up_to_its_report_though_some_are_taken_back(steps: list[Counts], prefix: str) -> None:
    end = ended()
    events = history(*(report(counts=counts) for counts in steps), end)
    counted = rows("rows", told(events, prefix))
    assert {fate: counted.get(fate, 0) for fate in FATES} == count_fates(end.counts, end.totals)


def test_runs_are_counted_when_they_end_by_state_verdict_and_mode() -> None:
    kept, broken = ended(Verdict.KEPT, error=None), ended(Verdict.BROKEN, error=None)
    failed = report(state=State.FAILED, verdict=None, error=Fault("broker_lost", "gone"))
    events = told([*history(report(), kept), *history(broken), *history(failed)])
    mode, file = kept.parameters.mode.value, kept.file.name
    assert rows("runs", events) == {
        f"completed\x1fkept\x1f{mode}": 1,
        f"completed\x1fbroken\x1f{mode}": 1,
        f"failed\x1fnone\x1f{mode}": 1,
    }
    assert rows("run-errors", events) == {"broker_lost": 1}
    assert rows("files", events) == {f"{file}\x1fkept": 1, f"{file}\x1fbroken": 1, f"{file}\x1fnone": 1}


def test_the_latest_run_of_a_file_stays_whatever_comes_late() -> None:
    new = ended(Verdict.KEPT, error=None)
    assert new.finished_at
    old = ended(Verdict.BROKEN, error=None, finished_at=new.finished_at - timedelta(hours=1))
    (entry,) = rows("latest-runs", told([*history(new), *history(old)])).values()
    assert entry == {"run": new.id, "state": "completed", "verdict": "kept", "error": None}


def test_latencies_are_those_of_all_rows_with_the_mode_of_their_run() -> None:
    latency = LatencyHistogram()
    for number in range(1, 1_001):
        latency.add(number / 10, 1)
    definition = DEFINITIONS["confirm-latency"]
    events = told(history(report(), report(counts=Counts(read=1)), ended(), latency=latency))
    changes = fold(definition, registered(definition), events, {})
    cells = {key: cell for key, cell in changes.cells.items() if key.width == 3_600}
    assert {key.key for key in cells} == {ended().parameters.mode.value}
    buckets = Counter[int]()
    for key, cell in cells.items():
        buckets[key.bucket] += cell.number
    assert buckets.total() == 1_000
    most = max(cell.most or 0 for cell in cells.values()) / 1_000
    for share in (0.5, 0.95, 0.99):
        assert percentile_of(buckets, share, most) == pytest.approx(share * 100, rel=0.02)


def test_progress_of_versions_that_told_no_mode_is_measured_too() -> None:
    old = event(1, "promise-pub.run.progress", source="own", body=b'{"latency": {"3": 2}}')
    assert rows("confirm-latency", [old]) == {"unknown": 2}


def test_runs_that_may_be_resumed_tell_neither_their_seconds_nor_their_resends_yet() -> None:
    resends = (Resent(3, "a connection was lost"), Resent(1, "a connection was lost"))
    interrupted = report(state=State.INTERRUPTED, resends=resends)
    events = told(history(interrupted, ended(resends=resends)))
    assert rows("resends", events) == {"a connection was lost": 2}
    assert [*rows("run-seconds", events).values()] == [*rows("queue-seconds", events).values()] == [1]


def test_a_run_that_never_waited_is_measured() -> None:
    body = {"mode": "at_once", "state": "completed", "seconds": {"queued": 0.0, "total": 0.0}}
    ending = event(1, "a.run.ended", source="own", body=json.dumps(body).encode())
    assert rows("queue-seconds", [ending]) == rows("run-seconds", [ending]) == {"at_once": 1}


def test_logins_are_counted_by_outcome_with_those_that_are_summed_up() -> None:
    bodies = {"account.login": {"user": "ann"}, "account.login_failed": {"reason": "login_failed", "times": 7}}
    assert set(bodies) < set(BODIES)
    events = [
        event(seq, f"a.b.{topic}", source="own", body=json.dumps(bodies.get(topic, {})).encode())
        for seq, topic in enumerate(["account.login", "account.login_failed", "account.token_used", "account.login"], 1)
    ]
    assert rows("logins", events) == {"done": 2, "login_failed": 7}


def test_events_of_all_topics_are_counted_by_category_topic_and_sender() -> None:
    events = [event(1, "a.b.c", category="b", sender="ci"), event(2, "x"), event(3, "", category="")]
    assert rows("volume", events) == {"": 3}
    assert rows("volume-by-category", events) == {"a": 1, "b": 1, "": 1}
    assert rows("volume-by-topic", events) == {"a.b.c": 1, "x": 1, "": 1}
    assert rows("senders", events) == {"ci": 1, "": 2}


@pytest.mark.parametrize("source", ["bus", "api", "import"])
def test_what_others_say_of_runs_and_logins_is_not_counted(source: str) -> None:
    forged = told([*history(ended())], source=source)
    forged += [event(99, "promise-pub.account.login", source=source, body=b"{}")]
    for name, definition in DEFINITIONS.items():
        counts_all = name.startswith("volume") or name == "senders"
        assert definition.layout.own is not counts_all
        assert bool(fold(definition, registered(definition), forged, {}).size) is counts_all


def test_the_topics_that_are_counted_are_told() -> None:
    topics = {f"any.prefix.{topic}" for topic in BODIES}
    for definition in DEFINITIONS.values():
        assert any(definition.matches(topic) for topic in topics)
        assert all(pattern == "#" or f"any.prefix.{pattern[2:]}" in topics for pattern in definition.layout.topics)
