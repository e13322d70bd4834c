"""What a client may ask for, what it is told of a value that is none, and how a run tells what was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from promise_pub.delivery.input.dialect import DELIMITERS, ENCODINGS
from promise_pub.delivery.parameters import parse_profile
from promise_pub.errors import BadParameter
from promise_pub.records import Parameters, RunReport, StoredFile
from promise_pub.web.runs.forms import parse_order, parse_parameters


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"columns": "name,mail"}, {}),
        ({"columns": "id"}, {"columns": ("id",)}),
        ({"columns": " id , Größe des Hauses,mail"}, {"columns": ("id", "Größe des Hauses", "mail")}),
        ({"columns": ",".join(f"c{n}" for n in range(100))}, {"columns": tuple(f"c{n}" for n in range(100))}),
        ({"header": "true"}, {"header": True, "columns": ()}),
        ({"header": "true", "columns": ""}, {"header": True, "columns": ()}),
        ({"header": "false", "columns": "a,b"}, {"columns": ("a", "b")}),
        ({"delimiter": "tab"}, {"delimiter": "\t"}),
        ({"delimiter": "\t"}, {"delimiter": "\t"}),
        ({"delimiter": ";"}, {"delimiter": ";"}),
        ({"encoding": "Windows-1252"}, {"encoding": "cp1252"}),
        ({"encoding": "ISO-8859-1"}, {"encoding": "latin-1"}),
        ({"profile": "100:10,1000:0.5"}, {"profile": ((100, 10.0), (1000, 0.5))}),
        ({"profile": "1:86400", "rate": "0"}, {"profile": ((1, 86400.0),)}),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_understood(given: dict[str, str], changes: dict[str, Any]) -> None:
    assert parse_parameters(given, {}) == Parameters(**changes)


WRONG = [
    ("columns=", "at least one column"),
    ("columns=,", "column 1 has no name"),
    ("columns=a,,b", "column 2 has no name"),
    ("columns=a, ", "column 2 has no name"),
    ("columns=a,b,a", "'a' appears 2 times"),
    ("columns=a,b\0", "column 2 holds the control character U+0000"),
    ("columns=a\nb", "control character U+000A"),
    ("columns=a\x85", "control character U+0085"),
    ("columns=a\udcff", "control character U+DCFF"),
    (f"columns={'x' * 101}", "column 1 has a name of 101 characters, over the limit of 100"),
    (f"columns={','.join(map(str, range(101)))}", "has 101 columns, over the limit of 100"),
    ("header=yes", "header must be true or false, not 'yes'"),
    ("header=true&columns=a,b", "leave columns out"),
    ("delimiter=", "delimiter must be one of , ; | tab, not ''"),
    ("delimiter=,,", "delimiter must be one of , ; | tab, not ',,'"),
    ('delimiter="', "delimiter must be one of"),
    ("delimiter=\n", "delimiter must be one of"),
    ("delimiter=\r", "delimiter must be one of"),
    ("delimiter=\0", "delimiter must be one of"),
    ("encoding=klingon", "encoding must be one of utf-8, "),
    ("encoding=utf-16", "not 'utf-16'"),
    ("encoding=", "encoding must be one of"),
    ("dry_run=maybe", "dry_run must be true or false, not 'maybe'"),
    ("profile=10", "'10' is none"),
    ("profile=a:b", "'a:b' is none"),
    ("profile=1:2:3", "'1:2:3' is none"),
    ("profile=10:5,", "'' is none"),
    ("profile=-5:5", "'-5:5' is none"),
    ("profile=5:-5", "'5:-5' is none"),
    ("profile=1e3:5", "'1e3:5' is none"),
    ("profile=5:nan", "'5:nan' is none"),
    ("profile=٣:5", "'٣:5' is none"),
    ("profile=5:1.2345", "'5:1.2345' is none"),
    ("profile=0:5", "1 to 1000000 rows a second in each step, not 0 as in '0:5'"),
    ("profile=10:1,1000001:5", "not 1000001 as in '1000001:5'"),
    ("profile=5:0", "0.1 to 86400 seconds, not 0 as in '5:0'"),
    ("profile=5:0.01", "not 0.01"),
    ("profile=5:86401", "not 86401"),
    (f"profile={','.join(['1:1'] * 101)}", "profile has 101 steps, over the limit of 100"),
    (f"profile={'9' * 4000}", "is none"),
    ("profile=10:5&rate=5", "leave one of them out"),
    ("colums=a", "There is no parameter 'colums': there are mode, timeout, clear, rate, profile, "),
]  # fmt: skip


@pytest.mark.parametrize(("query", "says"), WRONG, ids=[query[:30] for query, _ in WRONG])
def test_a_wrong_value_is_named(query: str, says: str) -> None:
    given = dict(item.split("=", 1) for item in query.split("&"))
    with pytest.raises(BadParameter) as error:
        parse_parameters(given, {})
    assert says in error.value.message
    assert len(error.value.message) < 300


def test_what_a_browser_sends_of_fields_nobody_filled_in_is_not_asked_for() -> None:
    fields = {"columns": "", "profile": "", "rate": "5"}
    assert parse_parameters({}, fields) == Parameters(rate=5)
    assert parse_parameters({"columns": "a"}, fields) == Parameters(rate=5, columns=("a",))


def test_a_dry_run_is_no_parameter_of_a_run() -> None:
    assert parse_order({"dry_run": "true", "rate": "5"}, {}) == (Parameters(rate=5), True)
    assert parse_order({"dry_run": "false"}, {"dry_run": "true"}) == (Parameters(), False)


@pytest.mark.parametrize("profile", ["", "100:10,1000:5", "1:0.1", "5:86400", "7:12345.678"])
def test_a_profile_is_written_as_it_was_read(profile: str) -> None:
    assert (Parameters(profile=parse_profile(profile)).profile_text or "") == profile


def test_a_run_tells_what_was_asked_for() -> None:
    parameters = Parameters(profile=((100, 10.0), (1000, 5.0)), columns=("a", "b"), header=True, delimiter="\t")
    run = RunReport("id", parameters, StoredFile("f", 1, "h"), datetime.now(UTC)).as_json()
    told = {name: run[name] for name in ("columns", "header", "delimiter", "encoding", "profile")}
    assert told == {
        "columns": ["a", "b"],
        "header": True,
        "delimiter": "tab",
        "encoding": "utf-8",
        "profile": "100:10,1000:5",
    }


def test_the_delimiters_and_encodings_keep_line_ends_and_quotes_single_bytes() -> None:
    for delimiter in DELIMITERS.values():
        assert len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n\0'
    for encoding in set(ENCODINGS.values()):
        for byte in range(128):
            assert bytes([byte]).decode(encoding) == chr(byte)
        for character in map(chr, range(128, 0x3000)):
            assert all(byte > 127 for byte in character.encode(encoding, "ignore"))
