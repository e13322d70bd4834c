"""The bundled consumer's rules: which row is usable, which id is new, what counts as what."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.consumer import distinct, rows
from promise_pub.consumer import session as module
from promise_pub.consumer.distinct import DistinctIds, RowList
from promise_pub.consumer.session import ConsumerSession
from promise_pub.delivery.consumer_client.answers import NOT_YET

Json = dict[str, Any]

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def body(name: object, mail: object) -> bytes:
    return json.dumps({"name": name, "mail": mail}).encode()


@pytest.fixture
def session() -> ConsumerSession:
    return ConsumerSession("a-uuid", "a-host", STARTED)


@given(st.text(max_size=127), st.text(max_size=127))
def test_every_text_postgresql_can_store_is_a_usable_row(name: str, mail: str) -> None:
    usable = "\0" not in name + mail
    assert rows.parse(body(name, mail), 7) == ((name, mail, 7) if usable else None)


@given(st.binary())
def test_no_bytes_make_parsing_fail(content: bytes) -> None:
    assert rows.parse(content) is None or content.lstrip().startswith(b"{")


def test_further_keys_are_ignored() -> None:
    assert rows.parse(b'{"id": 7, "mail": "m", "name": "n", "more": [1]}') == ("n", "m", 0)


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
    assert None not in [seen.add(message_id) for message_id in ids]
    assert [seen.add(message_id) for message_id in ids] == [None] * len(ids)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30))))
def test_an_id_is_new_exactly_once_in_whatever_order(ids: list[tuple[str, int]]) -> None:
    seen, told = DistinctIds(), set()
    for run, number in ids:
        message_id = f"{run}:{number}"
        assert seen.add(message_id) == (None if message_id in told else number)
        told.add(message_id)


def test_foreign_ids_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MAX_FOREIGN", 3)
    seen = DistinctIds()
    assert [seen.add(name) for name in ["a", "b", "c", "a", "d"]] == [0, 0, 0, None, 0]
    assert seen.add("a") == 0, "it was forgotten when d came"
    assert seen.add("d") is None


def test_ids_of_more_runs_than_a_session_has_are_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MAX_RUNS", 1)
    seen = DistinctIds()
    assert [seen.add(name) for name in ["a:1", "b:1", "b:1", "a:1", "a:2"]] == [1, 0, None, None, 2]


def test_a_new_session_has_not_ended(session: ConsumerSession) -> None:
    assert session.as_json() == {
        "uuid": "a-uuid",
        "digest": "0" * 32,
        "rows": "",
        "duplicate_rows": "",
        "invalid_rows": "",
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
    first, second, third = session.take_pending()
    session.settle(3, saved=1, existing=[second], refused=[third])
    assert (session.saved, session.duplicates, session.invalid) == (1, 2, 2)
    assert session.received == session.saved + session.duplicates + session.invalid


def settled(*messages: tuple[str | None, bytes], existing: Collection[int] = (), refused: Collection[int] = ()) -> Json:
    """Returns the JSON of a session that received the messages, with the rows of these numbers not saved."""
    session = ConsumerSession("a-uuid", "a-host", STARTED)
    for message_id, content in messages:
        session.receive(message_id, content, redelivered=False)
    pending = session.take_pending()
    old = [row for row in pending if row.number in existing]
    bad = [row for row in pending if row.number in refused]
    session.settle(len(pending), len(pending) - len(old) - len(bad), old, bad)
    return session.as_json()


def test_rows_that_were_not_saved_are_told_by_number() -> None:
    messages = [(f"r:{number}", body("a", str(number))) for number in range(1, 11)]
    messages[4] = ("r:5", b"garbage")
    told = settled(*messages, existing=[1, 2, 9], refused=[6])
    assert (told["duplicate_rows"], told["duplicates"]) == ("1-2,9", 3)
    assert (told["invalid_rows"], told["invalid"]) == ("5-6", 2)


def test_a_row_received_again_is_counted_and_its_number_is_not_told() -> None:
    good, bad = ("r:1", body("a", "1")), ("r:2", b"garbage")
    told = settled(good, bad, good, bad)
    assert (told["duplicates"], told["duplicate_rows"]) == (2, "")
    assert (told["invalid"], told["invalid_rows"]) == (1, "2")


def test_a_row_without_an_id_has_no_number_to_tell() -> None:
    told = settled((None, body("a", "1")), ("r:1", body("b", "1")), (None, b"garbage"), existing=[0, 1])
    assert (told["duplicates"], told["duplicate_rows"]) == (2, "1")
    assert (told["invalid"], told["invalid_rows"]) == (1, "")


@pytest.mark.parametrize("other", ["other:2", "no row", "r:02"])
def test_numbers_that_could_mean_several_rows_are_left_out(other: str) -> None:
    told = settled(("r:1", body("a", "1")), (other, b"garbage"), existing=[1])
    assert (told["duplicates"], told["invalid"]) == (1, 1)
    assert not {"rows", "duplicate_rows", "invalid_rows"} & told.keys()


def test_a_list_of_too_many_ranges_is_left_out_for_good_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RANGES", 2)
    messages = [(f"r:{number}", body("a", str(number))) for number in range(1, 8)]
    told = settled(*messages, existing=[1, 3, 5], refused=[2, 4])
    assert (told["rows"], told["invalid_rows"]) == ("1-7", "2,4")
    assert "duplicate_rows" not in told
    listed = RowList(2)
    for numbers in ([1, 3], [5], [2, 4]):
        listed.add(numbers)
    assert listed.text is None, "it holds some of the numbers only"


def test_rows_that_nobody_knows_are_counted_and_never_listed_again(session: ConsumerSession) -> None:
    for number in (1, 2, 3):
        session.receive(f"r:{number}", body("a", str(number)), redelivered=False)
    session.settle(len(session.take_pending()), saved=1, existing=None)
    session.receive("r:4", body("a", "4"), redelivered=False)
    session.settle(1, saved=0, existing=session.take_pending())
    told = session.as_json()
    assert told["duplicates"] == 3 and "duplicate_rows" not in told
    assert told["invalid_rows"] == ""


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
