"""Keys of events."""

from __future__ import annotations

from hashlib import blake2b
from itertools import product
from uuid import UUID

from promise_pub.features.journal.keys import key_of


def test_a_key_is_the_digest_of_source_sender_and_message_id() -> None:
    assert key_of("bus", "app", "id é") == UUID(bytes=blake2b("bus\0app\0id é".encode(), digest_size=16).digest())


def test_each_of_the_three_makes_another_key_and_no_sender_is_an_empty_one() -> None:
    keys = {key_of(*parts) for parts in product(("own", "bus", "api", "import"), ("", "a", "b"), ("1", "2", "\ud800"))}
    assert len(keys) == 4 * 3 * 3
    assert key_of("own", None, "1") == key_of("own", "", "1")


def test_without_a_message_id_every_key_is_another() -> None:
    assert len({key_of("bus", "app", message_id) for message_id in (None, "") * 50}) == 100
