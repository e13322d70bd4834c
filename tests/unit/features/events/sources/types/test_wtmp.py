from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.given_file import GivenFile
from promise_pub.features.events.sources.types.wtmp import Wtmp
from promise_pub.sources import Found, Ignored, NoRecord, WrongType

AT = 1_795_161_600  # 2026-11-20T08:00:00Z
MACHINES: list[tuple[int, Literal["little", "big"]]] = [(384, "little"), (384, "big"), (400, "little"), (400, "big")]


def record(
    size: int = 384,
    order: Literal["little", "big"] = "little",
    type_: int = 7,
    seconds: int = AT,
    microseconds: int = 250_000,
    user: bytes = b"ann",
    host: bytes = b"10.0.0.1",
    address: bytes = bytes([10, 0, 0, 1]),
) -> bytes:
    """Returns a record, field by field at the places that utmp(5) and bits/utmp.h give them."""
    long = 8 if size == 400 else 4
    made = bytearray(size)
    fields = [
        (0, type_.to_bytes(2, order)),
        (4, (4321).to_bytes(4, order)),
        (8, b"pts/0"),
        (40, b"ts/0"),
        (44, user),
        (76, host),
        (336, (77).to_bytes(long, order)),
        (336 + long, seconds.to_bytes(long, order)),
        (336 + 2 * long, microseconds.to_bytes(long, order)),
        (336 + 3 * long, address),
    ]
    for place, content in fields:
        made[place : place + len(content)] = content
    return bytes(made)


def event(raw: bytes) -> Found | Ignored:
    source = Wtmp()
    assert source.size(raw) == len(raw)
    return source.event(raw, GivenFile(ZoneInfo("Europe/Zurich"), datetime(2026, 11, 20, tzinfo=UTC)))


def found(raw: bytes) -> Found:
    outcome = event(raw)
    assert isinstance(outcome, Found)
    return outcome


@pytest.mark.parametrize(("size", "order"), MACHINES)
def test_a_login_is_read_from_each_machine(size: int, order: Literal["little", "big"]) -> None:
    assert event(record(size, order)) == Found(
        datetime(2026, 11, 20, 8, 0, 0, 250_000, UTC),
        "login of ann on pts/0 from 10.0.0.1",
        kind="login",
        user="ann",
        data={
            "type": "USER_PROCESS",
            "line": "pts/0",
            "host": "10.0.0.1",
            "pid": 4321,
            "session": 77,
            "address": "10.0.0.1",
        },
    )


@pytest.mark.parametrize(
    ("type_", "user", "host", "kind", "text"),
    [
        (8, b"", b"", "logout", "logout on pts/0"),
        (8, b"ann", b"", "logout", "logout of ann on pts/0"),
        (2, b"reboot", b"6.1.0", "boot", "boot on pts/0 (6.1.0)"),
        (1, b"shutdown", b"6.1.0", "log", "run level on pts/0 (6.1.0)"),
        (6, b"LOGIN", b"", "log", "login prompt on pts/0"),
        (3, b"", b"", "log", "new time on pts/0"),
    ],
)
def test_the_kind_is_that_of_the_record(type_: int, user: bytes, host: bytes, kind: str, text: str) -> None:
    outcome = found(record(type_=type_, user=user, host=host))

    assert (outcome.kind, outcome.text) == (kind, text)


@pytest.mark.parametrize("word", ["reboot", "runlevel", "shutdown", "LOGIN"])
def test_a_word_in_the_place_of_a_user_is_none(word: str) -> None:
    outcome = found(record(type_=1, user=word.encode()))

    assert (outcome.user, outcome.data["user"]) == (None, word)


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        (bytes([10, 0, 0, 1]), "10.0.0.1"),
        (bytes(15) + b"\1", "::1"),
        (b"\x20\x01\x0d\xb8" + bytes(11) + b"\1", "2001:db8::1"),
    ],
)
def test_an_address_is_of_either_version(raw: bytes, address: str) -> None:
    assert found(record(address=raw)).data["address"] == address


def test_fields_may_be_full_and_of_any_bytes() -> None:
    outcome = found(record(user=b"\xc3\xbc" * 16, host=b"h" * 256))

    assert (outcome.user, outcome.data["host"]) == ("ü" * 16, "h" * 256)
    assert found(record(user=b"a\xff\0rubbish")).user == "a\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("seconds", [2**31 - 1, 2**31, 2**32 - 1])
def test_a_time_after_2038_is_read(seconds: int) -> None:
    assert found(record(seconds=seconds, microseconds=0)).at.timestamp() == seconds


@pytest.mark.parametrize(("size", "order"), MACHINES)
def test_empty_records_are_ignored_and_do_not_hide_the_size(size: int, order: Literal["little", "big"]) -> None:
    source, one = Wtmp(), record(size, order)

    assert source.size(bytes(2 * size) + one) == size
    for empty in (bytes(size), record(size, order, type_=0)):
        assert source.event(empty, GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC))) == Ignored("empty")
    assert Wtmp().size(bytes(400)) == Wtmp().size(b"") == 384


@pytest.mark.parametrize(("size", "order"), MACHINES)
def test_a_bad_record_at_the_beginning_does_not_hide_the_size(size: int, order: Literal["little", "big"]) -> None:
    assert Wtmp().size(b"\xff" * size + record(size, order) * 3) == size


@pytest.mark.parametrize(
    "content", [b"\xff" * 4_000, b"Nov 20 09:00:00 web sshd[1]: text\n" * 50, record()[:383], b"x"]
)
def test_what_has_no_such_record_is_no_wtmp(content: bytes) -> None:
    with pytest.raises(WrongType, match="no wtmp"):
        Wtmp().size(content)


@pytest.mark.parametrize(
    "bad",
    [
        record(400, seconds=-1 % 2**64),
        record(400, seconds=0, microseconds=0),
        record(400, seconds=2**62),
        record(400, microseconds=1_000_000),
        record(400, microseconds=-1 % 2**64),
        record(400, type_=10),
        record(400, type_=-1 % 2**16),
        record(400)[:-1],
    ],
)
def test_a_record_that_is_none_costs_itself(bad: bytes) -> None:
    source = Wtmp()
    source.size(record(400))
    with pytest.raises(NoRecord):
        source.event(bad, GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC)))


@given(st.binary(min_size=384, max_size=384))
def test_any_bytes_are_a_record_or_none(raw: bytes) -> None:
    source = Wtmp()
    source.size(record())
    try:
        outcome = source.event(raw, GivenFile(ZoneInfo("UTC"), datetime(2026, 11, 20, tzinfo=UTC)))
    except NoRecord as error:
        assert str(error)
    else:
        assert isinstance(outcome, Ignored) or outcome.at.year >= 1970
