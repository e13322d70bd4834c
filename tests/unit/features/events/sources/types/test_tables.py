from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.identity import key_of
from promise_pub.features.events.sources.types.json_lines import JsonLines
from promise_pub.features.events.sources.types.table import Table
from promise_pub.sources import MAX_RECORD, Found, Identity, Ignored, WrongType
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, read_file, reasons_in

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MAPPED = {"map": "at=date, text=message,url=link,id=uuid"}
ROWS = (
    b"date,message,level,link,uuid\r\n"
    b'2026-11-20T09:00:00+01:00,"two\r\nlines, ""quoted""",info,https://x/,a1\r\n'
    b"2026-11-20T08:00:00Z,plain,,,a2\r\n"
)
OBJECTS = (
    b'{"date": "2026-11-20T08:00:00Z", "message": "plain", "level": {"n": 1}, "uuid": "a2"}\n'
    b'{"message": [1, 2], "date": 1795161600, "level": null}\n'
)


def events_of(content: bytes, options: dict[str, str]) -> list[Found]:
    outcomes = [one.outcome for one in read_file(Table(options), content)]
    assert isinstance(outcomes[0], Ignored)
    return [one for one in outcomes if isinstance(one, Found)]


def test_a_row_is_an_event_by_the_columns_that_are_named() -> None:
    assert events_of(ROWS, MAPPED) == [
        Found(AT, 'two\nlines, "quoted"', url="https://x/", data={"level": "info"}, identity=b"a1"),
        Found(AT, "plain", data={"level": ""}, identity=b"a2"),
    ]


def test_an_object_is_an_event_by_the_members_that_are_named() -> None:
    assert found_in(JsonLines(MAPPED), OBJECTS) == [
        Found(AT, "plain", data={"level": {"n": 1}}, identity=b"a2"),
        Found(AT, "[1, 2]", data={"level": None}),
    ]


def test_a_record_with_an_id_is_the_same_whatever_else_it_says() -> None:
    keys = [one.key for one in read_file(JsonLines(MAPPED), OBJECTS)]

    assert keys == [key_of("jsonl", b"a2"), key_of("jsonl", OBJECTS.splitlines()[1])]


def test_columns_have_the_names_of_the_properties_unless_others_are_named() -> None:
    (event,) = found_in(
        JsonLines(),
        b'{"at": "2026-11-20T08:00:00Z", "until": "2026-11-20T09:00:00Z", "text": "x", "kind": "k", "host": "h", "user": "u"}',
    )

    assert event == Found(AT, "x", until=datetime(2026, 11, 20, 9, 0, tzinfo=UTC), kind="k", host="h", user="u")


def test_an_event_does_not_end_before_it_begins() -> None:
    (event,) = found_in(JsonLines(), b'{"at": 1795161600, "until": 1795161599}')

    assert event.until == event.at == AT


@pytest.mark.parametrize("number", ["1795161600", "1795161600000", "1795161600000000", "1795161600000000000"])
def test_the_unit_of_a_number_is_told_by_its_size(number: str) -> None:
    assert found_in(JsonLines(), f'{{"at": {number}}}\n{{"at": "{number}"}}\n'.encode()) == [Found(AT, "")] * 2


@pytest.mark.parametrize("text", ["20261120", "2026-11-20", "20261120T000000Z"])
def test_a_day_without_hyphens_is_no_number_of_seconds(text: str) -> None:
    (event,) = found_in(JsonLines(), json.dumps({"at": text}).encode())

    assert event.at == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("number", ["1", "20261120", "20261120093000", "99999999", "10000000000000000000"])
def test_a_number_that_is_no_time_since_1970_costs_its_record(number: str) -> None:
    assert len(reasons_in(JsonLines(), f'{{"at": {number}}}\n{{"at": 1795161600}}\n'.encode())) == 1


def test_records_are_one_by_their_id_where_the_map_names_it_and_not_by_a_column_of_that_name() -> None:
    content = b'{"at": 1795161600, "id": "a"}\n{"at": 1795161601, "id": "a"}\n'
    asked, unasked = JsonLines({"map": "id=id"}), JsonLines()

    assert len({one.key for one in read_file(asked, content)}) == 1
    assert len({one.key for one in read_file(unasked, content)}) == 2
    assert (asked.identity, unasked.identity) == (Identity.ONE, Identity.NUMBERED)
    assert (Table({"map": "id=id"}).identity, Table().identity) == (Identity.ONE, Identity.NUMBERED)
    assert found_in(unasked, content)[0].data == {"id": "a"}


def test_what_json_escapes_and_no_database_stores_is_replaced() -> None:
    (event,) = found_in(
        JsonLines(), rb'{"at": 1795161600, "text": "a\u0000b", "x": ["\ud800", "\\u0000"], "\u0000": 1}'
    )

    assert event.text == "a\ufffdb"
    assert event.data == {"x": ["?", "\\u0000"], "\ufffd": 1}


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_only_a_line_end_ends_a_row(end: str) -> None:
    (event,) = events_of(f"at,text\n1795161600,a{end}b\n".encode(), {})

    assert event.text == f"a{end}b"


@pytest.mark.parametrize("time_format", ["%Q", "%d%d", "%d.%m. %H:%M", "%H:%M", "today", "%"])
def test_a_format_that_tells_no_day_is_refused(time_format: str) -> None:
    with pytest.raises(ValueError, match="time_format"):
        JsonLines({"time_format": time_format})


@pytest.mark.parametrize("time_format", ["%d.%m.%Y", "%Y-%m-%dT%H:%M:%S%z", "%y%m%d %H%M%S", "%a %b %d %H:%M:%S %Z %Y"])
def test_a_format_that_tells_a_day_is_taken(time_format: str) -> None:
    text = datetime(2026, 11, 20, tzinfo=UTC).strftime(time_format)
    (event,) = found_in(JsonLines({"time_format": time_format}), json.dumps({"at": text}).encode())

    assert event.at == datetime(2026, 11, 20, tzinfo=UTC)


def test_times_have_the_format_that_is_told() -> None:
    source = JsonLines({"time_format": "%d.%m.%Y %H:%M"})

    assert found_in(source, b'{"at": "20.11.2026 09:00"}', "Europe/Zurich") == [Found(AT, "")]
    assert len(reasons_in(source, b'{"at": "2026-11-20"}\n{"at": "20.11.2026 09:00"}\n')) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"at": null}',
        b'{"at": true}',
        b'{"at": []}',
        b'{"at": NaN}',
        b'{"at": 1e400}',
        b'{"at": -1}',
        b'{"at": "today"}',
        b'{"at": ' + b"9" * 5_000 + b"}",
        b'{"at": 1795161600, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"x" * 1_000,
    ],
)
def test_a_line_that_is_no_such_object_costs_itself(line: bytes) -> None:
    assert len(reasons_in(JsonLines(MAPPED | {"map": ""}), b'{"at": 1795161600}\n' + line + b"\n")) == 1


def test_of_members_that_come_twice_the_last_is_taken() -> None:
    (event,) = found_in(JsonLines(), b'{"at": 1795161600, "text": "a", "text": "b"}')

    assert event.text == "b"


@pytest.mark.parametrize("line", [b"2026-11-20T08:00:00Z,x", b",x,,,", b'2026-11-20T08:00:00Z,"x"y,,,', b"a,b,c,d,e,f"])
def test_a_row_that_is_no_event_costs_itself(line: bytes) -> None:
    assert len(reasons_in(Table(MAPPED), ROWS + line + b"\n")) == 1


@pytest.mark.parametrize("header", [b"a,a\n", b"a,,b\n", b'"a"b,c\n'])
def test_a_header_that_does_not_name_each_column_once_is_refused(header: bytes) -> None:
    with pytest.raises(WrongType):
        read_file(Table(), header + b"1,2\n")


def test_a_quote_that_nobody_closes_does_not_cost_the_file() -> None:
    filler = b"2026-11-20T08:00:00Z," + b"x" * 1_000 + b",,,\n"
    content = ROWS + b'2026-11-20T08:00:00Z,"open,,,\n' + filler * (2 * MAX_RECORD // len(filler))
    records = read_file(Table(MAPPED), content)

    assert sum(isinstance(one.outcome, Found) for one in records) > 900
    assert sum(one.end - one.position for one in records) == len(content)


def test_fields_may_have_another_character_between_them() -> None:
    for name, character in (("tab", b"\t"), (";", b";")):
        content = b"at" + character + b"text\n1795161600" + character + b"a,b\n"
        assert events_of(content, {"delimiter": name}) == [Found(AT, "a,b")]
    for wrong in ("", ",,", '"', "\n"):
        with pytest.raises(ValueError, match="delimiter"):
            Table({"delimiter": wrong})


@pytest.mark.parametrize("text", ["date", "when=date", "at=", "at=a,at=b", "=x"])
@pytest.mark.parametrize("make", [Table, JsonLines])
def test_a_map_that_names_no_property_or_one_twice_is_refused(make: type[Table | JsonLines], text: str) -> None:
    with pytest.raises(ValueError, match="map"):
        make({"map": text})


def test_files_that_are_cut_anywhere_are_accounted_for() -> None:
    check_every_cut(JsonLines, b'{"at": 1795161600, "text": "a"}\n\n{"at": 1795161601}')


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_every_text_comes_back_from_a_table_and_from_objects(pairs: list[tuple[str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [("at", "text", "more"), *((1795161600, *pair) for pair in pairs)]
    )
    lines = "\n".join(json.dumps({"at": 1795161600, "text": text, "more": more}) for text, more in pairs)

    assert [(one.text, one.data["more"]) for one in events_of(written.getvalue().encode(), {})] == pairs
    assert [(one.text, one.data["more"]) for one in found_in(JsonLines(), lines.encode())] == pairs
