"""A hit: what is kept of a request and what never is, its id, and how it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.visits.hits import (
    HIT_COLUMNS,
    MAX_HEADERS_LENGTH,
    MAX_TEXT_LENGTH,
    Hit,
    HitIds,
    anonymise_address,
    format_time,
    headers_as_json,
    make_hit_id,
    storable_text,
)
from promise_pub.features.visits.importing import read_hits
from promise_pub.terminal import print_csv

AT = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
WHOLE = Hit(
    id=make_hit_id(AT, 1, 2),
    at=AT,
    session_id=UUID(int=7),
    page="/runs/{id}",
    path='/runs/O\'Brien, "\N{CRAB}"',
    method="GET",
    status=200,
    ip=ip_address("2001:db8::1"),
    port=65535,
    user_agent="two\nlines",
    referrer="https://example.org/?a=b,c",
    headers='[["Accept", "a, b"], ["accept", "\N{CRAB} \\"q\\""]]',
    took_ms=12.345,
)
BARE = Hit(id=make_hit_id(AT, 2, 2), at=AT, session_id=UUID(int=7), page="/")

ANYTHING = st.text(st.characters(codec=None))  # NUL, surrogates and all


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", ""),
        ("/runs/1", "/runs/1"),
        ("Ärzte \N{CRAB}", "Ärzte \N{CRAB}"),
        ("\x01\x1b[31m\n", "\x01\x1b[31m\n"),  # it is for those who show it to tame it
        ("a\0b\0", "a\ufffdb\ufffd"),
        ("caf\udcc3\udca9", "café"),  # UTF-8, as aiohttp hands on what was no ASCII
        ("caf\udce9", "caf\ufffd"),
        ("\ud83d", "\ufffd"),
        ("\udc00x\udfff", "\ufffdx\ufffd"),
    ],
)
def test_text_is_kept_as_the_database_can(text: str | None, kept: str | None) -> None:
    assert storable_text(text) == kept


@pytest.mark.parametrize("character", ["a", "é", "\N{CRAB}", "\0", "\udcff"])
def test_text_is_cut_by_characters(character: str) -> None:
    assert len(storable_text(character * (MAX_TEXT_LENGTH + 1)) or "") == MAX_TEXT_LENGTH


@given(ANYTHING)
def test_any_text_can_be_kept(text: str) -> None:
    kept = storable_text(text)
    assert kept is not None and "\0" not in kept
    assert kept.encode().decode() == kept
    assert storable_text(kept) == kept


@given(st.lists(st.tuples(ANYTHING, ANYTHING)))
def test_any_headers_can_be_kept(pairs: list[tuple[str, str]]) -> None:
    kept = headers_as_json(pairs)
    assert "\0" not in kept and "\\u0000" not in kept and kept.encode().decode() == kept
    assert all(len(pair) == 2 for pair in json.loads(kept))


SECRET = ["Cookie", "COOKIE", "cookie", "cOOkie", "Authorization", "aUTHORIZATION"]
SECRET += ["Proxy-Authorization", "PROXY-AUTHORIZATION", "Cookie ", "\tAuthorization"]
SECRET += ["X-Api-Key", "X-CSRF-Token", "X-Forwarded-Access-Token", "Cf-Access-Jwt-Assertion"]


@pytest.mark.parametrize("name", SECRET)
@pytest.mark.parametrize("anonymise", [False, True])
def test_what_lets_somebody_in_is_never_kept(name: str, anonymise: bool) -> None:
    pairs = [("Host", "a"), (name, "secret"), (name, "secret too"), ("X-Kept", "b")]
    kept = headers_as_json(pairs, anonymise=anonymise)
    assert json.loads(kept) == [["Host", "a"], ["X-Kept", "b"]]


TELLING = ["X-Forwarded-For", "x-real-ip", "FORWARDED", "Via", "True-Client-IP", "CF-Connecting-IP"]


@pytest.mark.parametrize("name", TELLING)
def test_what_tells_an_address_is_dropped_where_addresses_are_cut(name: str) -> None:
    pairs = [(name, "192.0.2.1"), ("Accept", "a")]
    assert json.loads(headers_as_json(pairs)) == [[name, "192.0.2.1"], ["Accept", "a"]]
    assert json.loads(headers_as_json(pairs, anonymise=True)) == [["Accept", "a"]]


def test_headers_stay_in_order_and_as_often_as_they_came() -> None:
    pairs = [("b", "2"), ("a", "1"), ("B", "3"), ("b", "2"), ("", "")]
    assert json.loads(headers_as_json(pairs)) == [[*pair] for pair in pairs]
    assert headers_as_json([]) == "[]"


def test_headers_are_kept_as_long_as_there_is_room() -> None:
    quarter = "x" * (MAX_HEADERS_LENGTH // 4 - 1)
    fitting = [(name, quarter) for name in "abcd"]
    told = [[*pair] for pair in fitting]
    assert json.loads(headers_as_json([*fitting, ("e", "")])) == told
    assert json.loads(headers_as_json([*fitting[:3], ("d", f"{quarter}x"), ("e", "f")])) == told[:3]
    assert json.loads(headers_as_json([("a", "x" * 99_999), ("e", "f")])) == [
        ["a", "x" * MAX_TEXT_LENGTH],
        ["e", "f"],
    ]


def test_headers_that_are_dropped_take_no_room() -> None:
    pairs = [("Cookie", "x" * MAX_HEADERS_LENGTH), ("Accept", "a")]
    assert json.loads(headers_as_json(pairs)) == [["Accept", "a"]]


@pytest.mark.parametrize(
    ("address", "cut"),
    [
        ("192.0.2.255", "192.0.2.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("10.0.0.0", "10.0.0.0"),
        ("2001:db8:aaaa:bbbb:cccc::1", "2001:db8:aaaa::"),
        ("::1", "::"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_an_address_is_cut_to_one_of_many(address: str, cut: str) -> None:
    assert str(anonymise_address(ip_address(address))) == cut


def test_ids_grow_with_the_time_and_with_their_order() -> None:
    ids = HitIds()
    made = [ids.make(AT) for _ in range(100)]
    made += [ids.make(AT + timedelta(milliseconds=number)) for number in range(1, 100)]
    assert made == sorted(made)
    assert len({*made}) == len(made)


def test_an_id_tells_its_moment_its_order_and_the_rest() -> None:
    made = make_hit_id(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 5, 6)
    assert made == UUID("00000000-03e8-0000-0005-000000000006")
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert make_hit_id(elsewhere, 1, 1) == make_hit_id(AT, 1, 1)


@pytest.mark.parametrize("order", [0, 2**32 - 1, 2**32, 2**200])
@pytest.mark.parametrize("rest", [0, 2**48 - 1, 2**48, 2**200])
@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_an_id_is_one_whatever_it_is_made_of(order: int, rest: int, year: int) -> None:
    assert isinstance(make_hit_id(datetime(year, 1, 2, tzinfo=UTC), order, rest), UUID)


def test_servers_that_start_in_one_moment_make_different_ids() -> None:
    assert HitIds().make(AT) != HitIds().make(AT)


def test_a_moment_is_told_in_utc_to_the_microsecond() -> None:
    assert format_time(AT.astimezone(timezone(timedelta(hours=-3)))) == "2026-07-01T12:00:00.123456Z"
    assert format_time(AT.replace(microsecond=0)) == "2026-07-01T12:00:00.000000Z"


def test_a_hit_is_told_by_its_columns() -> None:
    assert dict(zip(HIT_COLUMNS, WHOLE.row(), strict=True)) == {
        **WHOLE.as_json(),
        "headers": WHOLE.headers,
    }
    assert WHOLE.as_json()["headers"] == [["Accept", "a, b"], ["accept", '\N{CRAB} "q"']]
    assert (WHOLE.as_json()["at"], WHOLE.as_json()["ip"]) == (format_time(AT), "2001:db8::1")
    assert BARE.row() == [format_time(AT), str(UUID(int=7)), "/", *[None] * 7, "[]", None, str(BARE.id)]
    json.dumps([WHOLE.as_json(), BARE.as_json()])


def taken_back(path: Path) -> list[Hit]:
    return [hit for batch in read_hits(path) for hit in batch]


def test_what_is_told_as_csv_is_taken_back_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(HIT_COLUMNS, WHOLE.row(), BARE.row())
    path = tmp_path / "hits.csv"
    path.write_bytes(capsys.readouterr().out.encode())
    assert taken_back(path) == [WHOLE, BARE]


def test_what_is_told_as_json_is_taken_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "hits.jsonl"
    path.write_text("".join(f"{json.dumps(hit.as_json())}\n" for hit in (WHOLE, BARE)))
    assert taken_back(path) == [WHOLE, BARE]


def test_a_hit_weighs_more_the_more_it_says() -> None:
    longer = "x" * 1000
    assert 500 < BARE.weight < WHOLE.weight < 1000
    for name in ("page", "path", "user_agent", "referrer", "headers"):
        heavy = Hit(**{**{key: getattr(BARE, key) for key in HIT_COLUMNS}, name: longer})
        assert heavy.weight >= BARE.weight + 990
