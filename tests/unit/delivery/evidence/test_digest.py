"""The digest: any order, each row once, and nothing taken for another."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from promise_pub.consumer.session import ConsumerSession
from promise_pub.delivery.broker.messages import MessageEncoder
from promise_pub.delivery.evidence.digest import MODULUS, RowDigest, fingerprint, is_written, written
from promise_pub.records import Row

RUN = UUID("5d1b2a9e-0000-4000-8000-00000000000a")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TEXTS = st.text(max_size=20)


def people(texts: list[tuple[str, str]]) -> list[Row]:
    return [Row(number, *text) for number, text in enumerate(texts, 1)]


def body(row: Row) -> bytes:
    """As any JSON writer that spaces like json.dumps and keeps its text would."""
    return json.dumps(dict(zip(("name", "mail"), row.fields, strict=True)), ensure_ascii=False).encode()


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=30), st.randoms(), st.integers(1, 7))
def test_publisher_and_consumer_come_to_the_same_whatever_the_order_and_the_repeats(
    texts: list[tuple[str, str]], chance: random.Random, size: int
) -> None:
    rows, digest = people(texts), RowDigest()
    encoder = MessageEncoder(RUN, NOW, 100, digest)
    encoder.route_to("q")
    for start in range(0, len(rows), size):
        encoder.encode(rows[start : start + size])
        again = chance.randrange(start + 1)
        encoder.encode(rows[again : start + size])  # published again: counts once
    session = ConsumerSession("u", "h", NOW)
    messages = [*rows, *chance.choices(rows, k=5)] if rows else []
    chance.shuffle(messages)
    for row in messages:
        session.receive(f"{RUN}:{row.number}", body(row), redelivered=False)
    told = session.as_json()
    assert told["digest"] == str(digest) and is_written(told["digest"])
    assert told["rows"] == (f"1-{len(rows)}" if len(rows) > 1 else "1" if rows else "")


def test_a_lost_a_changed_and_a_swapped_row_all_show() -> None:
    rows = [(b"run:1", b"a"), (b"run:2", b"b"), (b"run:3", b"b")]

    def digest(messages: list[tuple[bytes, bytes]]) -> str:
        return written(sum(fingerprint(*message) for message in messages))

    whole = digest(rows)
    others = [
        rows[:2],
        [*rows[:2], (b"run:3", b"B")],
        [*rows[:2], (b"run:2", b"b")],  # one twice for one lost: the count is right
        [(b"run:1", b"b"), (b"run:2", b"a"), rows[2]],
        [*rows[:2], (b"gun:3", b"b")],
        [*rows[:2], (b"run:", b"3\0b")],
    ]
    assert len({whole, *map(digest, others)}) == 1 + len(others)
    assert digest([*rows, *rows]) != digest([])  # with XOR rows that come twice would vanish


def test_it_is_taken_up_from_its_value() -> None:
    rows = people([(f"N{n}", f"{n}@x") for n in range(10)])
    whole = RowDigest()
    first, second = MessageEncoder(RUN, NOW, 100, whole), None
    first.route_to("q")
    first.encode(rows[:4])
    taken_up = RowDigest(whole.through, int(str(whole), 16))
    second = MessageEncoder(RUN, NOW, 100, taken_up)
    second.route_to("q")
    first.encode(rows[4:])
    second.encode(rows[4:])
    assert str(whole) == str(taken_up) and whole.value < MODULUS


def test_only_what_is_written_so_is_one() -> None:
    assert is_written("0" * 32)
    assert not any(is_written(other) for other in ("0" * 31, "0" * 33, "G" * 32, "A" * 32, 0, None))
