"""The CSV reader, case by case. What holds for all bytes is in test_reader_properties.py."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import pytest

from promise_pub.delivery.input.dialect import PLAIN, RECORD_LIMIT, Dialect
from promise_pub.delivery.input.lines import count_line_ends
from promise_pub.delivery.input.reader import CHUNK, FIELD_LIMIT, FilePosition, read_batches
from promise_pub.errors import StoredFileError
from promise_pub.records import Batch, Rejected, Row
from tests.reader_parts import FedReader


def read(data: bytes, dialect: Dialect = PLAIN, *, chunk_size: int = CHUNK) -> Batch:
    reader = FedReader(dialect)
    batches = [reader.feed(data[start : start + chunk_size]) for start in range(0, len(data), chunk_size)]
    batches.append(reader.finish())
    return Batch(
        [row for batch in batches for row in batch.rows],
        [one for batch in batches for one in batch.rejected],
        batches[-1].offset,
        batches[-1].line,
    )


def fields(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [row.fields for row in rows]


def places(rejected: Sequence[Rejected]) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in rejected]


GOOD = [
    ("a plain row", b"Ann,ann@x\n", [("Ann", "ann@x")]),
    ("a last line without newline", b"a,b\nc,d", [("a", "b"), ("c", "d")]),
    ("CRLF line ends", b"a,b\r\nc,d\r\n", [("a", "b"), ("c", "d")]),
    ("CRLF and LF mixed", b"a,b\r\nc,d\ne,f\r\n", [("a", "b"), ("c", "d"), ("e", "f")]),
    ("a BOM", b"\xef\xbb\xbfa,b\n", [("a", "b")]),
    ("a BOM before a quote", b'\xef\xbb\xbf"a,b",c\n', [("a,b", "c")]),
    ("a second BOM is data", b"\xef\xbb\xbf\xef\xbb\xbfa,b\n", [("\ufeffa", "b")]),
    ("a BOM in line 2 is data", b"a,b\n\xef\xbb\xbfc,d\n", [("a", "b"), ("\ufeffc", "d")]),
    ("a BOM and nothing else", b"\xef\xbb\xbf", []),
    ("an empty file", b"", []),
    ("blank lines", b"\n\r\na,b\n\n\r\nc,d\n\n", [("a", "b"), ("c", "d")]),
    ("nothing but blank lines", b"\n\n\r\n\n", []),
    ("empty fields", b",\n", [("", "")]),
    ("empty quoted fields", b'"",""\n', [("", "")]),
    ("an empty mail before CRLF", b"a,\r\n", [("a", "")]),
    ("spaces, which stay", b' a , "b \n', [(" a ", ' "b ')]),
    ("a quoted comma", b'"Smith, Ann",a@x\n', [("Smith, Ann", "a@x")]),
    ("doubled quotes", b'"Ann ""Bo"" Lee",""""\n', [('Ann "Bo" Lee', '"')]),
    ("nothing but doubled quotes", b'"""""",b\n', [('""', "b")]),
    ("a quoted newline", b'"a\nb",c\nd,e\n', [("a\nb", "c"), ("d", "e")]),
    ("quoted CRLF and CR, which stay", b'"a\r\nb\rc",d\r\n', [("a\r\nb\rc", "d")]),
    ("a newline in both fields", b'"a\n","\nb"\n', [("a\n", "\nb")]),
    ("quoted blank lines", b'"\n\n\n",b\n', [("\n\n\n", "b")]),
    ("a quoted field over many lines", b'"' + b"y\n" * 5_000 + b'",b\n', [("y\n" * 5_000, "b")]),
    ("a quoted last field without newline", b'a,"b"', [("a", "b")]),
    ("quotes inside an unquoted field", b'a"b,c"d"\n', [('a"b', 'c"d"')]),
    ("CR line ends", b"a,b\rc,d\r", [("a", "b"), ("c", "d")]),
    ("CR line ends, and none at the end", b"a,b\rc,d", [("a", "b"), ("c", "d")]),
    (
        "CR, LF and CRLF mixed",
        b"a,b\rc,d\ne,f\r\ng,h\r",
        [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")],
    ),
    ("a CR before CRLF, a blank line", b"a,b\r\r\nc,d", [("a", "b"), ("c", "d")]),
    ("LF before CR, a blank line", b"a,b\n\rc,d", [("a", "b"), ("c", "d")]),
    ("CR after quotes", b'"a","b"\r"c","d"\r', [("a", "b"), ("c", "d")]),
    ("CR in quotes, and at the ends of lines", b'"a\rb","\r"\rc,d\r', [("a\rb", "\r"), ("c", "d")]),
    ("a CR after a quoted last field", b'a,"b"\r', [("a", "b")]),
    ("a BOM before CR line ends", b"\xef\xbb\xbfa,b\rc,d\r", [("a", "b"), ("c", "d")]),
    ("nothing but CRs", b"\r\r\r", []),
    ("emoji, right-to-left, markup", "😀,ש@x\n<script>,O'Brien\n".encode(), None),
    ("a field of the limit", b"a" * FIELD_LIMIT + b",b\n", [("a" * FIELD_LIMIT, "b")]),
    (
        "two fields of four-byte characters and the limit",
        f'"{"😀" * FIELD_LIMIT}","{"😀" * FIELD_LIMIT}"\r\n'.encode(),
        [("😀" * FIELD_LIMIT, "😀" * FIELD_LIMIT)],
    ),
    (
        "quotes and newlines up to the limit",
        b'"' + b'""\n' * (FIELD_LIMIT // 2) + b'",b\n',
        [('"\n' * (FIELD_LIMIT // 2), "b")],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [pytest.param(d, e, id=n) for n, d, e in GOOD])
@pytest.mark.parametrize("chunk_size", [61, CHUNK])
def test_accepts(data, expected, chunk_size):
    batch = read(data, chunk_size=chunk_size)
    if expected is None:
        expected = [tuple(line.split(",")) for line in data.decode().splitlines()]
    assert fields(batch.rows) == expected
    assert batch.rejected == []
    assert [row.number for row in batch.rows] == list(range(1, len(expected) + 1))
    assert batch.offset == len(data)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00"
NOT_CLOSED = "has a quote that never closes"
TOO_LATE = "has a quote that does not close within the limit of 131,072 characters"
TEXT_AFTER = "has text after a closing quote"
BYTES = "is over the limit of 1,048,583 bytes, longer than two fields can be"

BAD = [
    ("one field", b"a,b\nc\nd,e\n", [(2, "has 1 field, not 2")], 2),
    ("three fields", b"a,b\nc,d,e\nf,g\n", [(2, "has 3 fields, not 2")], 2),
    ("an empty third field", b"a,b,\n", [(1, "has 3 fields, not 2")], 0),
    ("three quoted fields", b'"a","b","c"\nd,e\n', [(1, "has 3 fields, not 2")], 1),
    ("three fields over lines", b'a,b,"c\nd"\ne,f\n', [(1, "has 3 fields, not 2")], 1),
    ("a thousand fields", b"," * 999 + b"\n", [(1, "has 1000 fields, not 2")], 0),
    ("more fields than are counted", b"," * 5_000, [(1, "has over 1,000 fields, not 2")], 0),
    ("more quoted fields", b'"\n",' * 5_000, [(1, "has over 1,000 fields, not 2")], 0),
    ("an empty quoted field alone", b'""\na,b\n', [(1, "has 1 field, not 2")], 1),
    ("spaces alone", b"  \n", [(1, "has 1 field, not 2")], 0),
    (
        "CR line ends",
        b"a,b\rbad\r\rc,d\rworse\r",
        [(2, "has 1 field, not 2"), (5, "has 1 field, not 2")],
        2,
    ),
    (
        "line ends of every kind",
        b'a\r\nb\nc\r"d\r\n\r\n\re",\rf',
        [(n, "has 1 field, not 2") for n in (1, 2, 3, 8)],
        1,
    ),
    ("a CR in an unquoted field", b"a\rb,c\n", [(1, "has 1 field, not 2")], 1),
    ("an unterminated quote before CR", b'"a,b\rc,d\r', [(1, NOT_CLOSED)], 1),
    (
        "latin-1 in the third line of quotes with CR and CRLF",
        b'"a\r\nb\rc\xe9",d\r',
        [(1, "is not UTF-8: byte 0xe9 at column 2 of its line 3")],
        0,
    ),
    ("a line over the limit before CR", b"a" * 2_000_000 + b"\rb,c\r", [(1, BYTES)], 1),
    ("latin-1", b"a,b\nc,d\nJos\xe9,j\n", [(3, "is not UTF-8: byte 0xe9 at column 4")], 2),
    (
        "latin-1 after wide characters",
        "ée,ab".encode() + b"\xe9\n",
        [(1, "is not UTF-8: byte 0xe9 at column 6")],
        0,
    ),
    (
        "latin-1 in a quoted second line",
        b'"a\nb\xe9c",d\ne,f\n',
        [(1, "is not UTF-8: byte 0xe9 at column 2 of its line 2")],
        1,
    ),
    (
        "half a character at the end of the file",
        b"a,b\nc,\xf0\x9f\x98",
        [(2, "is not UTF-8: byte 0xf0 at column 3")],
        1,
    ),
    (
        "an encoded surrogate",
        b"a,\xed\xa0\x80\n",
        [(1, "is not UTF-8: byte 0xed at column 3")],
        0,
    ),
    ("NUL", b"a,b\nc\0,d\ne,f\n", [(2, "holds a NUL character")], 2),
    ("quoted NUL", b'"c\0",d\ne,f\n', [(1, "holds a NUL character")], 1),
    ("an unterminated quote", b'a,b\n"c,d\ne,f\n', [(2, NOT_CLOSED)], 2),
    ("an unterminated second field", b'a,"b\nc,d\n', [(1, NOT_CLOSED)], 1),
    ("a quote as the last byte", b'a,b\nc,"', [(2, NOT_CLOSED)], 1),
    (
        "every quote unterminated",
        b'a,"b\n' * 3,
        [(1, TEXT_AFTER), (2, TEXT_AFTER), (3, NOT_CLOSED)],
        0,
    ),
    ("an open quote that meets a quoted row", b'"a,b\n"c","d"\n', [(1, TEXT_AFTER)], 1),
    ("text after a closing quote", b'"a"x,b\nc,d\n', [(1, TEXT_AFTER)], 1),
    ("a space after a closing quote", b'"a" ,b\nc,d\n', [(1, TEXT_AFTER)], 1),
    (
        "text after a quote that closes lines later",
        b'"a\nb,c\nd"x,e\nf,g\n',
        [(1, TEXT_AFTER)],
        3,  # b,c and d"x,e and f,g
    ),
    (
        "a field over the limit",
        b"a" * (FIELD_LIMIT + 1) + b",b\nc,d\n",
        [(1, "has a field of 131,073 characters, over the limit of 131,072")],
        1,
    ),
    (
        "a quoted field over the limit",
        b'"' + b"a" * (FIELD_LIMIT + 1) + b'",b\nc,d\n',
        [(1, "has a field of 131,073 characters, over the limit of 131,072")],
        1,
    ),
    (
        "a quoted field over the limit on one line, in a record of two",
        b'"a\nb","' + b"c" * (FIELD_LIMIT + 1) + b'"\nd,e\n',
        [(1, "has a field of 131,073 characters, over the limit of 131,072")],
        1,
    ),
    (
        "an unquoted field over the limit in a record of two lines",
        b'"a\nb",' + b"c" * (FIELD_LIMIT + 1) + b"\nd,e\n",
        [(1, "has a field of 131,073 characters, over the limit of 131,072")],
        1,
    ),
    ("a line over the limit", b"a" * 10_000_000 + b"\nb,c\n", [(1, BYTES)], 1),
    ("a line over the limit at the end", b"b,c\n" + b"," * 2_000_000, [(2, BYTES)], 1),
    (
        "a quote open in a line over the limit",
        b'"' + b"a" * 2_000_000 + b"\nb,c\n",
        [(1, BYTES)],
        1,
    ),
    ("a line of the limit", b"a" * (RECORD_LIMIT - 1) + b"\n", [(1, "has 1 field, not 2")], 0),
    ("a line of one byte more", b"a" * RECORD_LIMIT + b"\n", [(1, BYTES)], 0),
    (
        "a quote that closes too late",
        b'"a\n' + b"b,c\n" * 50_000 + b'd",e\n',
        [(1, TOO_LATE)],
        50_001,
    ),
    (
        "a quote that never closes in a long file",
        b'"a\n' + b"b,c\n" * 300_000,
        [(1, TOO_LATE)],
        300_000,
    ),
]


@pytest.mark.parametrize(("data", "rejected", "rows"), [pytest.param(d, r, n, id=i) for i, d, r, n in BAD])
@pytest.mark.parametrize("chunk_size", [4_099, CHUNK, 2**24])
def test_rejects_and_goes_on(data, rejected, rows, chunk_size):
    batch = read(data, chunk_size=chunk_size)
    assert places(batch.rejected) == rejected
    assert len(batch.rows) == rows
    assert batch.offset == len(data)


SEMICOLONS = Dialect(width=3, delimiter=";", encoding="cp1252")
TABS = Dialect(width=3, delimiter="\t")
ONE = Dialect(width=1)
LONG = b"a" * FIELD_LIMIT

OTHER_DIALECTS = [
    (SEMICOLONS, b"a;b,c;d\r\ne;f;\n", [("a", "b,c", "d"), ("e", "f", "")], []),
    (SEMICOLONS, b'"a;""b""";\x80;"c\nd"\n', [('a;"b"', "€", "c\nd")], []),
    (SEMICOLONS, b"a;b\n", [], [(1, "has 2 fields, not 3")]),
    (SEMICOLONS, b"a;b;\x81\n", [], [(1, "is not CP1252: byte 0x81 at column 5")]),
    (SEMICOLONS, b"\xef\xbb\xbfa;b;c\n", [("ï»¿a", "b", "c")], []),
    (SEMICOLONS, b'"a"x;b;c\n', [], [(1, TEXT_AFTER)]),
    (TABS, b"\xef\xbb\xbfa\t b,;|\t\xc3\xa9\n", [("a", " b,;|", "é")], []),
    (TABS, b"\t\t\n\n\r\n\t\t\r\n", [("", "", "")] * 2, []),
    (Dialect(2, "|", "latin-1"), b"a|\x85\n", [("a", "\x85")], []),
    (Dialect(2, ",", "iso-8859-15"), b'"\xa4",b\n', [("€", "b")], []),
    (ONE, b"a\n\n\r\nb\r\nc", [("a",), ("b",), ("c",)], []),
    (ONE, b'\n""\n"a\nb"\n\n', [("",), ("a\nb",)], []),
    (ONE, b"a,b\n", [], [(1, "has 2 fields, not 1")]),
    (ONE, b" \n\r", [(" ",)], []),
    (ONE, b"\r\r\n", [], []),
    (ONE, b"mail\rann@x\r\rbob@x\r", [("mail",), ("ann@x",), ("bob@x",)], []),
    (ONE, b"a\r\nb\rc\n\r\nd", [("a",), ("b",), ("c",), ("d",)], []),
    (Dialect(2, ";", "latin-1"), b"a;\x85\rb;\xe9\r", [("a", "\x85"), ("b", "é")], []),
    (ONE, LONG + b"\n", [(LONG.decode(),)], []),
    (ONE, LONG + b"a\nb\n", [("b",)], [(1, "has a field of 131,073 characters, over the limit of 131,072")]),
    (ONE, b"a" * RECORD_LIMIT + b"\nb\n", [("b",)], [(1, "is over the limit of 1,048,583 bytes")]),
    (Dialect(100), b",".join([b"x"] * 100) + b"\n", [("x",) * 100], []),
    (Dialect(100), b'"x",' * 99 + b'"y"\n', [("x",) * 99 + ("y",)], []),
    (Dialect(100), b'"' + b"x" * 5_000 + b'",' + b"," * 98 + b"\n", [("x" * 5_000,) + ("",) * 99], []),
    (Dialect(100), b"," * 100, [], [(1, "has 101 fields, not 100")]),
    (Dialect(7), b",".join([LONG] * 7) + b"\n", [(LONG.decode(),) * 7], []),
    (Dialect(9), b",".join([LONG] * 9) + b"\n", [], [(1, "is over the limit of 1,048,583 bytes")]),
    (
        Dialect(20),
        b'"\n' + b'","'.join([LONG[:100_000]] * 20) + b'"\n' + b"," * 19,
        [("",) * 20],
        # The second line by itself: text, a quote inside it, and so on.
        [
            (1, "has a quote that leads past the limit of 1,048,583 bytes for a record"),
            (2, "is over the limit of 1,048,583 bytes"),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "data", "rows", "rejected"),
    OTHER_DIALECTS,
    ids=[f"{one[0].width} {one[0].encoding} {one[1][:20]!r}" for one in OTHER_DIALECTS],
)
@pytest.mark.parametrize("chunk_size", [61, CHUNK])
def test_reads_other_dialects(dialect, data, rows, rejected, chunk_size):
    batch = read(data, dialect, chunk_size=chunk_size)
    assert fields(batch.rows) == rows
    assert places(batch.rejected) == rejected
    assert batch.offset == len(data)


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("width", [1, 3, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
def test_lines_without_quotes_are_cut_by_the_thousand(delimiter, width, line_end, monkeypatch):
    lines = [delimiter.join(f"{n}.{place}" for place in range(width)) for n in range(5_000)]
    monkeypatch.setattr(FedReader, "_one_by_one", None)  # whoever calls it fails
    batch = read(line_end.join([*lines, ""]).encode(), Dialect(width, delimiter))
    assert fields(batch.rows) == [tuple(line.split(delimiter)) for line in lines]


def test_an_unterminated_quote_in_line_2_of_1000_costs_one_row():
    lines = [b"n%d,m%d@x\n" % (number, number) for number in range(1, 1_001)]
    lines[1] = b'"n2,m2@x\n'
    batch = read(b"".join(lines))
    assert len(batch.rows) == 999
    assert batch.rejected == [Rejected(2, NOT_CLOSED, '"n2,m2@x')]
    assert batch.rows[1] == Row(2, "n3", "m3@x")


def test_a_png_is_rejected_line_by_line():
    batch = read(PNG)
    assert batch.rows == []
    assert [one.line for one in batch.rejected] == [1, 2, 3, 4]
    assert batch.rejected[0] == Rejected(1, "is not UTF-8: byte 0x89 at column 1", r"\x89PNG")


@pytest.mark.parametrize("line", [b"sep=;", b'"sep=;"', b"SEP=,", b"sep=\t", b"sep=", b"\xef\xbb\xbfsep=;"])
@pytest.mark.parametrize("dialect", [PLAIN, Dialect(2, ";"), Dialect(1, "\t")])
@pytest.mark.parametrize("chunk_size", [1, CHUNK])
def test_the_line_that_names_excel_the_delimiter_is_no_row(line, dialect, chunk_size):
    good = b'"x"' + dialect.delimiter.encode() + b"y" if dialect.width == 2 else b"x"
    batch = read(line + b"\r\n" + good, dialect, chunk_size=chunk_size)
    assert places(batch.rejected) == [(1, "is Excel's sep= line, which names the delimiter and is no row: delete it")]
    assert fields(batch.rows) == [("x", "y")[: dialect.width]]


@pytest.mark.parametrize("data", [b"a,b\nsep=,\n", b"\nsep=,\n", b"sep=,x\n", b'"sep=,\n",x\n'])
def test_elsewhere_sep_is_a_row_like_any_other(data):
    assert read(data).rejected == []


@pytest.mark.parametrize(
    ("record", "excerpt"),
    [
        (b"x" * 500, "x" * 200),
        ("é€😀".encode() * 100, "é€😀" * 66 + "é€"),
        ("😀".encode() * 500, "😀" * 200),
        (b"J\xe9,\0", r"J\xe9,\x00"),
        (b"one\r\n", "one"),
        (b'"a\nb"', '"a\nb"'),
        (b'"a,b\r\nc,d\n', '"a,b'),
        (b"one\rtwo", "one"),
        (b"z" * 3_000_000, "z" * 200),
    ],
)
def test_the_excerpt_is_the_first_200_characters_as_valid_text(record, excerpt):
    assert read(record).rejected[0].excerpt == excerpt


def test_lines_are_counted_through_blank_lines_and_quoted_newlines():
    batch = read(b'\n\r\n"a\n\nb",c\n"bad"x\n\nworse\n')
    assert places(batch.rejected) == [(6, TEXT_AFTER), (8, "has 1 field, not 2")]
    assert batch.line == 9


def test_a_crlf_cut_between_two_chunks_is_one_line_end():
    reader = FedReader()
    assert reader.feed(b"a,b\r") == Batch([], [], 0, 1)  # whether a LF follows is not known yet
    assert reader.feed(b"\nbad\r") == Batch([Row(1, "a", "b")], [], 5, 2)
    assert reader.feed(b"") == Batch([], [], 5, 2)
    assert reader.feed(b"\nc,d\r") == Batch([], [Rejected(2, "has 1 field, not 2", "bad")], 10, 3)
    assert reader.feed(b"e,f") == Batch([Row(2, "c", "d")], [], 14, 4)
    assert reader.finish() == Batch([Row(3, "e", "f")], [], 17, 5)


def test_rows_keep_their_numbers_past_rejected_records():
    assert read(b"a,b\nbad\n\nc,d\n").rows == [Row(1, "a", "b"), Row(2, "c", "d")]


def test_feed_gives_every_record_that_is_complete():
    reader = FedReader()
    assert reader.feed(b"a,b\nc,") == Batch([Row(1, "a", "b")], [], 4, 2)
    assert reader.feed(b'd\n"e\n') == Batch([Row(2, "c", "d")], [], 8, 3)
    assert reader.feed(b'f",g') == Batch([], [], 8, 3)
    assert reader.finish() == Batch([Row(3, "e\nf", "g")], [], 15, 5)


def test_a_reader_starts_at_a_checkpoint():
    reader = FedReader(offset=100, line=7, number=5)
    assert reader.feed(b"\xef\xbb\xbfa,b\nbad\n") == Batch(
        [Row(5, "\ufeffa", "b")], [Rejected(8, "has 1 field, not 2", "bad")], 111, 9
    )


def test_a_line_without_end_is_held_back_in_bounded_memory_and_rejected_once():
    reader = FedReader()
    for _ in range(1_000):
        batch = reader.feed(b"x" * CHUNK)
        assert reader.buffered <= RECORD_LIMIT + CHUNK
        assert batch == Batch([], [], 0, 1)  # the checkpoint stays where a record starts
    batch = reader.feed(b"x\na,b\n")
    assert batch.rows == [Row(1, "a", "b")]
    assert batch.rejected == [Rejected(1, BYTES, "x" * 200)]
    assert (batch.offset, batch.line) == (1_000 * CHUNK + 6, 3)


def test_a_quote_without_end_is_followed_in_bounded_memory():
    reader = FedReader()
    first = reader.feed(b'"a\n')
    rows = 0
    for _ in range(30):
        rows += len(reader.feed(b"b,c\n" * (CHUNK // 4)).rows)
        assert reader.buffered <= RECORD_LIMIT + CHUNK
    assert first.rejected == []
    assert rows > 0
    assert rows + len(reader.finish().rows) == 30 * (CHUNK // 4)


# Inside quotes and outside, this line ends inside quotes: each one opens a record that goes on to the end.
OPENS = b'a","b\n'
HOSTILE = {
    "quotes that never close": OPENS * 60_000,
    "quotes that run into text": OPENS * 60_000 + b'a"x\n',
    "quotes that run into the limit": OPENS * 185_000,
    "quotes that close too late": OPENS * 60_000 + b'a","' + b"xx\n" * 60_000 + b'"\n',
    "very many fields": b'"\n"' + b',""' * 300_000 + b"\n",
    "one byte at a time": OPENS * 10_000,
    "CR line ends": OPENS.replace(b"\n", b"\r") * 60_000,
    "CRLF line ends": OPENS.replace(b"\n", b"\r\n") * 60_000,
    "blank lines": b"\r\n\r\r\n\n" * 60_000 + b"x",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dialect", [PLAIN, Dialect(1, ";", "cp1252"), Dialect(100, "|")])
def test_the_work_is_linear_on_hostile_bytes(name, dialect):
    """Each takes about a second. Following each record afresh would take a minute."""
    data = HOSTILE[name].replace(b",", dialect.delimiter.encode())
    started = time.process_time()
    batch = read(data, dialect, chunk_size=1 if name == "one byte at a time" else CHUNK)
    assert time.process_time() - started < 10
    assert batch.offset == len(data)
    assert len(batch.rows) + len(batch.rejected) in (count_line_ends(data), 1)


def test_the_batches_of_a_huge_chunk_are_moderate():
    data = b"a,b\n" * 100_000 + b'"a",b\n' * 10_000 + b"bad\n" * 10_000
    batches = list(FedReader().batches(data))
    assert sum(len(batch.rows) for batch in batches) == 110_000
    assert max(len(batch.rows) for batch in batches) <= CHUNK
    assert sum(len(batch.rejected) for batch in batches) == 10_000
    assert max(len(batch.rejected) for batch in batches) <= 1_000


async def test_a_file_is_read_in_batches(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"".join(b"n%d,m%d\n" % (number, number) for number in range(10_000)))
    batches = [batch async for batch in read_batches(path, chunk_size=1_000)]
    assert [row.number for batch in batches for row in batch.rows] == list(range(1, 10_001))
    assert len(batches) > 100
    assert batches[-1].offset == path.stat().st_size


async def test_a_file_is_read_on_from_a_checkpoint(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b'a,b\n"c\nd",e\nbad\nf,g\n')
    start = FilePosition(offset=12, line=4, number=3)
    batches = [batch async for batch in read_batches(path, start=start)]
    assert [row for batch in batches for row in batch.rows] == [Row(3, "f", "g")]
    assert [one.line for batch in batches for one in batch.rejected] == [4]


async def test_other_tasks_run_while_a_file_is_read(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n" * 200_000)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    batches = [batch async for batch in read_batches(path)]
    task.cancel()
    assert turns >= len(batches) > 10


async def test_a_missing_file_is_a_stored_file_error(tmp_path):
    with pytest.raises(StoredFileError, match=r"gone\.csv cannot be read: No such file"):
        await anext(read_batches(tmp_path / "gone.csv"))


async def test_a_file_that_cannot_be_read_is_a_stored_file_error(tmp_path):
    with pytest.raises(StoredFileError, match="Is a directory"):
        await anext(read_batches(tmp_path))


async def test_a_file_that_fails_on_the_way_is_a_stored_file_error(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n")

    async def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(asyncio, "to_thread", fail)
    with pytest.raises(StoredFileError, match="Input/output error"):
        await anext(read_batches(path))


async def test_the_file_is_closed_when_reading_is_left_early(tmp_path, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n" * 100_000)
    files = []
    run_in_thread = asyncio.to_thread

    async def noting(read, size):
        files.append(read.__self__)
        return await run_in_thread(read, size)

    monkeypatch.setattr(asyncio, "to_thread", noting)
    async with contextlib.aclosing(read_batches(path)) as batches:
        await anext(batches)
        assert not files[0].closed
    assert files[0].closed
