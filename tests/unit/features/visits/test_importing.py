"""Hits out of files: what is taken and as what, and what each problem is called."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from promise_pub.features.visits.errors import ImportRefused
from promise_pub.features.visits.hits import HIT_COLUMNS, Hit
from promise_pub.features.visits.importing import BATCH, MAX_PROBLEMS, read_hits

SESSION = "00000000-0000-0000-0000-000000000007"
AT = "2026-07-01T12:00:00.123456Z"
LEAST = {"at": AT, "session_id": SESSION, "page": "/"}
WHOLE = {
    **LEAST,
    "path": "/a,b",
    "method": "GET",
    "status": "200",
    "ip": "192.0.2.77",
    "port": "65535",
    "user_agent": "a browser",
    "referrer": "https://example.org/?token=c",
    "headers": '[["X-Forwarded-For", "192.0.2.78"], ["Cookie", "c"], ["Accept", "1"], ["Accept", "2"]]',
    "took_ms": "1.5",
    "known": "False",
    "id": "00000000-0000-0000-0000-00000000000a",
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of these bytes, or of this text in UTF-8."""

    def written(content: bytes | str) -> Path:
        path = tmp_path / "hits"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def as_csv(*records: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*records[0]])
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def as_json(*records: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def read(path: Path, *, anonymise: bool = False) -> list[Hit]:
    return [hit for batch in read_hits(path, anonymise=anonymise) for hit in batch]


def problems(path: Path) -> list[str]:
    """Everything that is said of a file of which nothing is taken."""
    with pytest.raises(ImportRefused) as refused:
        list(read_hits(path))
    first, *others = refused.value.message.splitlines()
    assert first == f"{path}: nothing was imported"
    return others


def short(value: object) -> str:
    """A test's name: it goes into the environment, which has no room for a whole file."""
    return ascii(value)[-40:]


@pytest.mark.parametrize("form", [as_csv, as_json])
def test_a_whole_hit_is_taken_as_it_would_be_noted(write: Write, form: Callable[..., str]) -> None:
    (hit,) = read(write(form(WHOLE)))
    assert hit == Hit(
        id=UUID(int=10),
        at=datetime(2026, 7, 1, 12, 0, 0, 123456, UTC),
        session_id=UUID(int=7),
        page="/",
        path="/a,b",
        method="GET",
        status=200,
        ip=ip_address("192.0.2.77"),
        port=65535,
        user_agent="a browser",
        referrer="https://example.org/",
        headers='[["Accept", "1"], ["Accept", "2"]]',
        took_ms=1.5,
        known=False,
    )


@pytest.mark.parametrize("form", [as_csv, as_json])
def test_of_a_hit_only_three_columns_must_be_there(write: Write, form: Callable[..., str]) -> None:
    (hit,) = read(write(form(LEAST)))
    assert hit.row()[3:] == [*[None] * 7, "[]", None, True, str(hit.id)]
    empty = {name: LEAST.get(name) for name in HIT_COLUMNS}
    (same,) = read(write(form(empty)))
    assert same.row()[:-1] == hit.row()[:-1]


def test_addresses_are_cut_if_asked(write: Write) -> None:
    (hit,) = read(write(as_csv(WHOLE)), anonymise=True)
    assert (str(hit.ip), hit.port) == ("192.0.2.0", None)
    (six,) = read(write(as_csv({**WHOLE, "ip": "2001:db8:1:2::3"})), anonymise=True)
    assert str(six.ip) == "2001:db8:1::"


@pytest.mark.parametrize(
    ("told", "noted"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_addresses_are_noted_as_servers_note_them(write: Write, told: str, noted: str) -> None:
    assert [str(hit.ip) for hit in read(write(as_csv({**LEAST, "ip": told})))] == [noted]


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01 12:00", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("2026-07-01T12:00:00+02:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("1969-12-31T23:59:59Z", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_in_utc(write: Write, told: str, at: datetime) -> None:
    (hit,) = read(write(as_json({**LEAST, "at": told})))
    assert hit.at == at and hit.at.tzinfo is UTC


HEADER = "at,session_id,page\n"
LINE = f"{AT},{SESSION},/\n"


@pytest.mark.parametrize(
    ("content", "pages"),
    [
        (HEADER, []),
        (HEADER + LINE, ["/"]),
        ((HEADER + LINE).rstrip("\n"), ["/"]),
        ((HEADER + LINE + LINE).replace("\n", "\r\n"), ["/", "/"]),
        (f"\ufeff{HEADER}{LINE}", ["/"]),
        (f"\n \n{HEADER}\n{LINE}\n\n{LINE}\n", ["/", "/"]),
        (f"page,at,session_id\n/runs,{AT},{SESSION}\n", ["/runs"]),
        (f'{HEADER}{AT},{SESSION},"/a""\n,b"\n', ['/a"\n,b']),
        (f"{HEADER}{AT},{SESSION},/\N{CRAB}\0\n", ["/\N{CRAB}\ufffd"]),
        (f"{HEADER}{AT},{SESSION},exit/\n", ["exit/"]),
        (f"{HEADER}{AT},{SESSION},{'x' * 200}\n", ["x" * 200]),
        (as_json(LEAST), ["/"]),
        (as_json(LEAST).rstrip("\n"), ["/"]),
        ("\ufeff" + as_json(LEAST), ["/"]),
        (f"\n  \n  {as_json(LEAST)}\n\r\n \n{as_json(LEAST)}", ["/", "/"]),
        (as_json({**LEAST, "page": "\0\ud800\N{CRAB}"}), ["\ufffd\ufffd\N{CRAB}"]),
    ],
    ids=short,
)
def test_files_are_taken_however_they_were_written(write: Write, content: str, pages: list[str]) -> None:
    assert [hit.page for hit in read(write(content))] == pages


WITHOUT = "at, session_id, page"
A_HIT_HAS = f"is unknown: a hit has {', '.join(HIT_COLUMNS)}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", f"line 1: the column at is missing: a hit needs {WITHOUT}"),
        ("\n\n", f"line 3: the column at is missing: a hit needs {WITHOUT}"),
        (LINE, f"line 1: the column at is missing: a hit needs {WITHOUT}"),
        ("at,page\n1,2\n3,4\n", f"line 1: the column session_id is missing: a hit needs {WITHOUT}"),
        ("\n\nat,session_id\n", f"line 3: the column page is missing: a hit needs {WITHOUT}"),
        ("at,session_id,page,pgae\n", f"line 1: the field 'pgae' {A_HIT_HAS}"),
        (f"at,session_id,page, ip\n{LINE}", f"line 1: the field ' ip' {A_HIT_HAS}"),
        ("at,session_id,page,at\n", "line 1: the column at appears 2 times"),
        (f'{HEADER}{LINE}{AT},{SESSION},"/\n{LINE}', "line 4: unexpected end of data"),
        (f'{HEADER}{AT},{SESSION},"/"x\n', "line 2: ',' expected after '\"'"),
        (f"{HEADER}{AT},{SESSION},{'x' * 200_000}\n", "line 2: field larger than field limit"),
        (f"{HEADER}{LINE}" + "x" * 1_000_001, "line 3: is longer than 1,000,000 characters"),
        ('{"a": "' + "\0" * 1_000_000, "line 1: is longer than 1,000,000 characters"),
        ("[]\n", f"line 1: the column at is missing: a hit needs {WITHOUT}"),
        ("\0\n", f"line 1: the column at is missing: a hit needs {WITHOUT}"),
        (
            f"{HEADER}{LINE}".encode("utf-16"),
            "The file is UTF-16: save it as CSV UTF-8, then send it again.",
        ),
        (
            gzip.compress(f"{HEADER}{LINE}".encode(), mtime=0),
            "The file is compressed with gzip: unpack it, then send the CSV in it.",
        ),
        (f"{HEADER}{LINE * 10_000}".encode() + b"\xe9", "the file is not UTF-8"),
        (as_json(LEAST).encode() + b'{"page": "\xff"}', "the file is not UTF-8"),
    ],
    ids=short,
)
def test_what_makes_a_file_unreadable_is_said_once(write: Write, content: bytes | str, told: str) -> None:
    (problem,) = problems(write(content))
    assert problem.startswith(told)


TOO_DEEP = "[" * 100_000


def test_each_line_that_is_no_hit_is_named(write: Write) -> None:
    table = f"{HEADER}{LINE}1\n{LINE}{AT},{SESSION},/,more\n \nno,{SESSION},/\n"
    assert problems(write(table)) == [
        "line 3: does not have as many fields as the first line",
        "line 5: does not have as many fields as the first line",
        "line 6: does not have as many fields as the first line",
        "line 7: at cannot be 'no'",
    ]
    lines = [
        "",
        as_json(LEAST).strip(),
        "[]",
        "nothing",
        "{",
        f'{{"a": {TOO_DEEP}',
        '{"pgae": 1}',
        "1",
    ]
    assert problems(write("\n".join(lines))) == [
        "line 3: is not a JSON object",
        "line 4: is not a JSON object",
        "line 5: is not a JSON object",
        "line 6: it is nested more than 64 deep",
        f"line 7: the field 'pgae' {A_HIT_HAS}",
        "line 8: is not a JSON object",
    ]


BAD = {
    "at": ["yesterday", "2026-13-01", "12:00", "1782907200", "0001-01-01T00:00+14:00", " ", "\0"]
    + ["0001-01-01", "9999-12-31T23:59:59Z"],
    "session_id": ["7", SESSION[:-1], SESSION + "0", " ", "g" + SESSION[1:], "\0"],
    "page": ["exit", "x" * 201, "\N{CRAB}" * 201],
    "status": ["-1", "1000", "200.0", "two", "0x10", "9" * 5000],
    "ip": ["192.0.2", "192.0.2.256", "192.0.2.1/24", "localhost", ":::", "%eth0", "٣.0.0.1"],
    "port": ["-1", "65536", "http"],
    "headers": ["a: b", "{}", "[1]", '["ab"]', '[["a"]]', '[["a", 1]]', "null", "[", TOO_DEEP],
    "took_ms": ["-1", "nan", "inf", "-inf", "1e9", "fast"],
    "known": ["maybe", "2"],
    "id": ["1", "\0"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=short,
)
def test_a_bad_value_is_told_with_its_name(write: Write, name: str, value: str) -> None:
    told = [f"line 3: {name} cannot be {value[:50]!r}"]
    assert problems(write(as_csv(WHOLE, {**WHOLE, name: value}))) == told
    expected = [told[0].replace("3", "2", 1)]
    assert problems(write(as_json(WHOLE, {**WHOLE, name: value}))) == expected


WRONG_KIND = {
    "at": [5, True, [], {}],
    "session_id": [7, 7.5, [7], {}],
    "page": [1, "", ["/"]],
    "path": [1, {}],
    "method": [True],
    "user_agent": [[]],
    "referrer": [0],
    "status": [True, 200.0, [], 1000],
    "ip": [1, 3221225985, []],
    "port": [False, 1.5, 10**30],
    "headers": [{}, {"a": "b"}, 1, [["a", "b", "c"]], [["a", None]], ["ab"]],
    "took_ms": [True, [], 10**99, -0.1],
    "known": [1, [], {}],
    "id": [1, []],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG_KIND.items() for value in values],
    ids=short,
)
def test_a_value_of_another_kind_is_told_with_its_name(write: Write, name: str, value: object) -> None:
    (problem,) = problems(write(as_json({**WHOLE, name: value})))
    assert problem == f"line 1: {name} cannot be {str(value)[:50]!r}"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("1e999", "1e999 is no number that can be used"),
        ("NaN", "NaN is no number that can be used"),
        ("-Infinity", "-Infinity is no number that can be used"),
        ("1" * 5_000, "a number has more than 100 digits"),
        ("[" * 65 + "]" * 65, "it is nested more than 64 deep"),
        ("[" * 100_000 + "]" * 100_000, "it is nested more than 64 deep"),
        (f'"{"[" * 500 + "]" * 500}"', "headers cannot be"),
    ],
    ids=short,
)
def test_json_beyond_what_anybody_writes_is_a_problem_of_its_line(write: Write, written: str, told: str) -> None:
    path = write(as_json({**WHOLE, "headers": 0}).replace('"headers": 0', f'"headers": {written}'))
    (problem,) = problems(path)
    assert problem.startswith(f"line 1: {told}")


@pytest.mark.parametrize("name", LEAST)
def test_what_must_be_there_is_missed_by_its_name(write: Write, name: str) -> None:
    missing = {key: value for key, value in WHOLE.items() if key != name}
    assert problems(write(as_json(missing))) == [f"line 1: {name} is missing"]
    assert problems(write(as_json({**WHOLE, name: None}))) == [f"line 1: {name} is missing"]
    assert problems(write(as_csv({**WHOLE, name: ""}))) == [f"line 2: {name} is missing"]


def test_numbers_may_be_texts_or_numbers(write: Write) -> None:
    numbers = {"status": 200, "port": 65535, "took_ms": 1.5}
    as_numbers, as_texts = read(write(as_json({**WHOLE, **numbers}, WHOLE)))
    assert as_numbers == as_texts


def test_so_many_problems_are_told_and_no_more(write: Write) -> None:
    bad = {**LEAST, "page": "exit"}
    for form, first in ((as_csv, 2), (as_json, 1)):
        told = problems(write(form(*[bad] * 21)))
        assert told == [f"line {first + n}: page cannot be 'exit'" for n in range(MAX_PROBLEMS)]
    assert len(problems(write(HEADER + "1\n" * 21))) == MAX_PROBLEMS
    assert len(problems(write("{}\n" + "1\n" * 21))) == MAX_PROBLEMS


def test_nothing_is_read_behind_the_last_problem_that_is_told(write: Write) -> None:
    content = HEADER + "1\n" * MAX_PROBLEMS + LINE * 100_000
    assert problems(write(content.encode() + b"\xff"))[-1].startswith("line 21: ")


def test_hits_come_in_batches_up_to_the_first_problem(write: Write) -> None:
    lines = [LINE] * (2 * BATCH + 1)
    assert [len(batch) for batch in read_hits(write(HEADER + "".join(lines)))] == [BATCH, BATCH, 1]
    batches = read_hits(write(HEADER + "".join([*lines[:-1], "bad\n", *lines])))
    assert [len(next(batches)), len(next(batches))] == [BATCH, BATCH]
    with pytest.raises(ImportRefused):
        next(batches)


def test_a_file_that_is_taken_again_has_the_same_ids(write: Write) -> None:
    for form in (as_csv, as_json):
        content = form(LEAST, {**LEAST, "page": "/runs"}, LEAST)
        first, again = read(write(content)), read(write(content))
        assert first == again
        assert len({hit.id for hit in first}) == 3
        changed = read(write(form(LEAST, {**LEAST, "page": "/other"}, LEAST)))
        assert [old == new for old, new in zip(first, changed, strict=True)] == [True, False, True]


def test_hits_of_one_moment_keep_their_order(write: Write) -> None:
    records = [{**LEAST, "page": f"/{number}"} for number in range(300)]
    for form in (as_csv, as_json):
        hits = read(write(form(*records)))
        assert sorted(hits, key=lambda hit: (hit.at, hit.id)) == hits


@pytest.mark.parametrize("name", ["cookie", "Authorization", "X-Forwarded-For", "X-Kept-Once"])
def test_headers_that_are_not_kept_are_not_taken(write: Write, name: str) -> None:
    headers = json.dumps([[name, "secret"], ["accept", "b"]])
    for form in (as_csv, as_json):
        (hit,) = read(write(form({**LEAST, "headers": headers})))
        assert hit.headers == '[["accept", "b"]]'


@pytest.mark.parametrize(
    ("told", "known"), [(True, True), (False, False), ("true", True), ("FALSE", False), (None, True)]
)
def test_a_visitor_is_known_unless_it_says_otherwise(write: Write, told: object, known: bool) -> None:
    (hit,) = read(write(as_json({**LEAST, "known": told})))
    assert hit.known is known


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ImportRefused) as refused:
            list(read_hits(path))
        assert refused.value.message.startswith(f"{path}: cannot be read: {reason}")
