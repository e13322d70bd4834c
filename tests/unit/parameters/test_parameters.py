"""A run's parameters: which values there are, how a wrong one is named, and that text, JSON and columns mean the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub import errors
from promise_pub.errors import BadParameter
from promise_pub.parameters import (
    DELIMITERS,
    ENCODINGS,
    PARAMETERS,
    PARAMETERS_SHAPE,
    RUN_PARAMETERS,
    Mode,
    Parameter,
    Parameters,
    parse_values,
)
from promise_pub.parameters.columns import COLUMNS_PATTERN
from promise_pub.parameters.gate import parse_gate
from promise_pub.parameters.rate_profile import PROFILE_PATTERN, format_profile, parse_profile


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
    assert Parameters(**parse_values(given)) == Parameters(**changes)


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
    ("fail_if=", "fail_if is empty"),
    ("fail_if=saved < acepted", "did you mean accepted?"),
    (f"fail_if={'(' * 10_000}", "fail_if has 10,000 characters, over the limit of 1,000"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "says"), WRONG, ids=[query[:30] for query, _ in WRONG])
def test_a_wrong_value_is_named(query: str, says: str) -> None:
    given = dict(item.split("=", 1) for item in query.split("&"))
    with pytest.raises(BadParameter) as error:
        parse_values(given)
    assert says in error.value.message
    assert len(error.value.message) < 300


@pytest.mark.parametrize("names", [("timeout", "encoding"), ("encoding", "timeout"), ("header", "mode", "clear")])
def test_of_several_wrong_values_the_first_that_was_given_is_named(names: tuple[str, ...]) -> None:
    with pytest.raises(BadParameter, match=f"^{names[0]} must be"):
        parse_values(dict.fromkeys(names, "wrong"))


@pytest.mark.parametrize("profile", ["", "100:10,1000:5", "1:0.1", "5:86400", "7:12345.678"])
def test_a_profile_is_written_as_it_was_read(profile: str) -> None:
    assert format_profile(parse_profile(profile)) == profile


def test_a_run_tells_what_was_asked_for() -> None:
    parameters = Parameters(profile=((100, 10.0), (1000, 5.0)), columns=("a", "b"), header=True, delimiter="\t")
    assert parameters.as_json() == {
        "mode": "live",
        "timeout": 5,
        "clear": False,
        "rate": 0,
        "columns": ["a", "b"],
        "header": True,
        "delimiter": "tab",
        "encoding": "utf-8",
        "profile": "100:10,1000:5",
        "fail_if": None,
    }


def test_the_delimiters_and_encodings_keep_line_ends_and_quotes_single_bytes() -> None:
    for delimiter in DELIMITERS.values():
        assert len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n\0'
    for encoding in set(ENCODINGS.values()):
        for byte in range(128):
            assert bytes([byte]).decode(encoding) == chr(byte)
        for character in map(chr, range(128, 0x3000)):
            assert all(byte > 127 for byte in character.encode(encoding, "ignore"))


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda one: one.name)
def test_the_limits_of_a_parameter_are_the_ones_that_hold(parameter: Parameter) -> None:
    schema, name = parameter.schema, parameter.name
    edges = [schema.get("minimum"), schema.get("maximum"), *schema.get("enum", ())]
    for value in edges:
        if value is not None:
            parse_values({name: str(value)})
    wrong = "a,a" if name == "columns" else "none of these"
    for value in [schema["maximum"] + 1, -1] if "maximum" in schema else [wrong]:
        with pytest.raises(errors.BadParameter):
            parse_values({name: str(value)})
    if parameter.default is not None:
        default = {name: parameter.format(parameter.default)}
        assert parse_values(default) == {name: parameter.default}


def takes(name: str, value: str) -> bool:
    try:
        parse_values({name: value})
    except errors.BadParameter:
        return False
    return True


_STEPS = st.from_regex(r"[0-9]{1,7}:[0-9]{1,6}(\.[0-9]{1,4})?", fullmatch=True)
_KEYS = st.text(st.sampled_from("ab, \t\n\x85é\N{CRAB}") | st.characters(codec="utf-8"), max_size=8)


@settings(deadline=None, max_examples=500)
@given(st.lists(_STEPS, max_size=3).map(",".join) | st.text("01589:.,-", max_size=9))
def test_the_pattern_of_a_profile_is_what_is_taken(profile: str) -> None:
    assert bool(re.search(PROFILE_PATTERN.replace("$", r"\Z"), profile)) == takes("profile", profile)


@settings(deadline=None, max_examples=500)
@given(_KEYS | st.integers(98, 102).map(lambda n: " " + "x" * n + " "))
def test_the_pattern_of_columns_is_what_is_taken_but_for_repeated_names(columns: str) -> None:
    names = [name.strip(" ") for name in columns.split(",")]
    fits = bool(re.search(COLUMNS_PATTERN.replace("$", r"\Z"), columns))
    assert (fits and len(names) == len(set(names))) == takes("columns", columns)


CHOSEN = [
    Parameters(),
    Parameters(Mode.BATCH, 0, clear=True, rate=50, columns=("id",), header=True, delimiter="\t", encoding="latin-1"),
    Parameters(profile=((1_000_000, 12345.678), (7, 0.5)), delimiter="|"),
    Parameters(fail_if=parse_gate("saved < accepted or p99 > 50ms")),
]


@pytest.mark.parametrize("parameters", CHOSEN)
def test_text_json_and_columns_are_read_back_as_they_were_written(parameters: Parameters) -> None:
    for one in RUN_PARAMETERS:
        value = getattr(parameters, one.name)
        assert value is None or one.parse(one.name, one.format(value)) == value
    assert PARAMETERS_SHAPE.decode(parameters.as_json()) == parameters
    assert Parameters.from_columns(parameters.as_columns()) == parameters
