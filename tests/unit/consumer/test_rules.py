"""The bundled consumer's rules: which row is usable, which id is new, what counts as what."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.consumer import distinct, rows
from promise_pub.consumer.distinct import DistinctIds
from promise_pub.consumer.session import ConsumerSession
from promise_pub.delivery.consumer_client.answers import NOT_YET

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def body(name: object, mail: object) -> bytes:
    return json.dumps({"name": name, "mail": mail}).encode()


@pytest.fixture
def session() -> ConsumerSession:
    return ConsumerSession("a-uuid", "a-host", STARTED)


@given(st.text(max_size=127), st.text(max_size=127))
def test_every_text_postgresql_can_store_is_a_usable_row(name: str, mail: str) -> None:
    usable = "\0" not in name + mail
    assert rows.parse(body(name, mail)) == ((name, mail) if usable else None)


@given(st.binary())
def test_no_bytes_make_parsing_fail(content: bytes) -> None:
    assert rows.parse(content) is None or content.lstrip().startswith(b"{")


def test_further_keys_are_ignored() -> None:
    assert rows.parse(b'{"id": 7, "mail": "m", "name": "n", "more": [1]}') == ("n", "m")


def test_a_body_too_big_to_parse_in_passing_is_no_row() -> None:
    padding = " " * rows.MAX_BODY
    assert rows.parse(body("n", "m") + padding.encode()) is None


@pytest.mark.parametrize(
    "ids",
    [
        ["run:1", "run:2", "run:10"],
        ["run:1", "other:1"],
        ["run:1", "run:01", "run:", "run", "1", ":1", "run:-1", "run:1 ", "run:\u0661"],
        ["run:" + "9" * 18, "run:" + "9" * 19, "run:" + "9" * 5000],
        ["a:1:1", "a:1", "a:1:2"],
    ],
    ids=["rows", "runs", "spellings", "huge", "nested"],
)
def test_different_ids_are_told_apart_and_the_same_are_not(ids: list[str]) -> None:
    seen = DistinctIds()
    assert [seen.add(message_id) for message_id in ids] == [True] * len(ids)
    assert [seen.add(message_id) for message_id in ids] == [False] * len(ids)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30))))
def test_an_id_is_new_exactly_once_in_whatever_order(ids: list[tuple[str, int]]) -> None:
    seen, told = DistinctIds(), set()
    for run, number in ids:
        message_id = f"{run}:{number}"
        assert seen.add(message_id) == (message_id not in told)
        told.add(message_id)


def test_foreign_ids_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MAX_FOREIGN", 3)
    seen = DistinctIds()
    assert [seen.add(name) for name in ["a", "b", "c", "a", "d"]] == [True, True, True, False, True]
    assert seen.add("a")  # forgotten when d came
    assert not seen.add("d")


def test_ids_of_more_runs_than_a_session_has_are_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MAX_RUNS", 1)
    seen = DistinctIds()
    assert [seen.add(name) for name in ["a:1", "b:1", "b:1", "a:1", "a:2"]] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_new_session_has_not_ended(session: ConsumerSession) -> None:
    assert session.as_json() == {
        "uuid": "a-uuid",
        "digest": "0" * 32,
        "rows": "",
        "host": "a-host",
        "started": "2026-01-02T03:04:05Z",
        "ended": NOT_YET,
        "checksum": 0,
        "saved": 0,
        "duplicates": 0,
        "invalid": 0,
    }


def test_the_counts_add_up_once_nothing_is_pending(session: ConsumerSession) -> None:
    for message_id, content in [
        ("r:1", body("a", "1")),
        ("r:2", body("b", "1")),
        ("r:3", b"garbage"),
        ("r:1", body("a", "1")),
        (None, body("c", "2")),
    ]:
        session.receive(message_id, content, redelivered=False)
    assert (session.received, session.distinct, len(session.pending)) == (5, 4, 3)
    session.settle(len(session.take_pending()), saved=1, refused=1)
    assert (session.saved, session.duplicates, session.invalid) == (1, 2, 2)
    assert session.received == session.saved + session.duplicates + session.invalid


def test_a_message_handed_over_again_is_not_counted_again(session: ConsumerSession) -> None:
    session.receive("r:1", body("a", "1"), redelivered=False)
    session.receive("r:1", body("a", "1"), redelivered=True)
    session.receive("r:2", body("b", "2"), redelivered=True)  # lost on its first way here
    assert (session.received, session.duplicates, len(session.pending)) == (2, 0, 2)


def test_rows_given_back_keep_their_order(session: ConsumerSession) -> None:
    session.receive("r:1", body("a", "1"), redelivered=False)
    taken = session.take_pending()
    session.receive("r:2", body("b", "2"), redelivered=False)
    session.give_back(taken)
    assert [row.name for row in session.take_pending()] == ["a", "b"]


@pytest.mark.parametrize(("sent", "complete"), [(None, False), (0, True), (1, True), (2, True), (3, False)])
def test_a_session_is_complete_when_it_has_the_rows_that_were_sent(
    session: ConsumerSession, sent: int | None, complete: bool
) -> None:
    session.receive("r:1", body("a", "1"), redelivered=False)
    session.receive("r:1", body("a", "1"), redelivered=False)
    session.receive("r:2", b"garbage, but one of the rows", redelivered=False)
    session.receive(None, b"garbage of a stranger", redelivered=False)
    session.sent = sent
    assert session.complete is complete
