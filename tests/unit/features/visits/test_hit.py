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
    KEPT_HEADERS,
    MAX_HEADER_LENGTH,
    MAX_HEADERS_LENGTH,
    MAX_TEXT_LENGTH,
    Hit,
    HitIds,
    anonymise_address,
    format_time,
    headers_as_json,
    make_hit_id,
    storable_referrer,
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
    referrer="https://example.org/a,b",
    headers='[["Accept", "a, b"], ["accept", "\N{CRAB} \\"q\\""]]',
    took_ms=12.345,
    known=False,
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


@pytest.mark.parametrize("character", ["a", "é", "\0"])
def test_text_is_cut_where_it_is_said(character: str) -> None:
    assert len(storable_text(character * 300, 200) or "") == 200


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        (None, None),
        ("", ""),
        ("https://example.org/", "https://example.org/"),
        ("https://example.org/a?token=s3cret", "https://example.org/a"),
        ("https://example.org/a#access_token=s3cret", "https://example.org/a"),
        ("?s3cret\ns3cret", ""),
        ("/" + "x" * 9000 + "?s3cret", "/" + "x" * (MAX_TEXT_LENGTH - 1)),
    ],
)
def test_a_referrer_is_kept_without_what_was_asked_there(referrer: str | None, kept: str | None) -> None:
    assert storable_referrer(referrer) == kept


@given(st.lists(st.tuples(st.sampled_from(sorted(KEPT_HEADERS)), ANYTHING)))
def test_any_headers_can_be_kept(pairs: list[tuple[str, str]]) -> None:
    kept = headers_as_json(pairs)
    assert "\0" not in kept and "\\u0000" not in kept and kept.encode().decode() == kept
    assert all(len(pair) == 2 for pair in json.loads(kept))
    assert len(kept) < 3 * MAX_HEADERS_LENGTH


@given(st.lists(st.tuples(ANYTHING, ANYTHING)))
def test_no_header_is_kept_that_is_not_listed(pairs: list[tuple[str, str]]) -> None:
    assert all(name.lower() in KEPT_HEADERS for name, _ in json.loads(headers_as_json(pairs)))


OTHERS = [
    "Cookie",
    "cOOkie",
    "Cookie ",
    "Authorization",
    "\tAuthorization",
    "Proxy-Authorization",
    "X-Api-Key",
    "X-Passwd",
]
OTHERS += [
    "X-Forwarded-For",
    "x-real-ip",
    "FORWARDED",
    "Via",
    "True-Client-IP",
    "Accept-",
    "Accept ",
    "X-Sec-CH-UA",
    "",
]


@pytest.mark.parametrize("name", OTHERS)
def test_what_lets_somebody_in_or_tells_an_address_is_not_kept(name: str) -> None:
    pairs = [("Host", "a"), (name, "secret"), (name, "secret too"), ("ACCEPT", "b")]
    assert json.loads(headers_as_json(pairs)) == [["Host", "a"], ["ACCEPT", "b"]]


def test_headers_stay_in_order_and_as_often_as_they_came() -> None:
    pairs = [("dnt", "2"), ("Accept", "1"), ("DNT", "3"), ("dnt", "2"), ("Host", "")]
    assert json.loads(headers_as_json(pairs)) == [[*pair] for pair in pairs]
    assert headers_as_json([]) == "[]"


def test_a_header_is_cut_and_all_are_kept_as_long_as_there_is_room() -> None:
    (cut,) = json.loads(headers_as_json([("DNT", "x" * 99_999)]))
    assert cut == ["DNT", "x" * MAX_HEADER_LENGTH]
    kept = json.loads(headers_as_json([("DNT", "x" * 99_999)] * 100))
    assert kept == [cut] * (MAX_HEADERS_LENGTH // (MAX_HEADER_LENGTH + 3))


def test_headers_that_are_dropped_take_no_room() -> None:
    pairs = [("Cookie", "x" * MAX_HEADERS_LENGTH)] * 9 + [("Accept", "a")]
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
    assert BARE.row() == [format_time(AT), str(UUID(int=7)), "/", *[None] * 7, "[]", None, True, str(BARE.id)]
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
    assert 700 < BARE.weight < WHOLE.weight < 1500
    for name in ("page", "path", "user_agent", "referrer", "headers"):
        for longer, bytes_of_it in (("x" * 1000, 1000), ("\N{CRAB}" * 1000, 4000)):
            heavy = Hit(**{**{key: getattr(BARE, key) for key in HIT_COLUMNS}, name: longer})
            assert heavy.weight >= BARE.weight + bytes_of_it - 10
