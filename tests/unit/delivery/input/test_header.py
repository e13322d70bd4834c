"""The header: which keys it names, where the first row starts, and what is said of one that names none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.input.dialect import Dialect
from promise_pub.delivery.input.header import HEADER_LIMIT, Header, find_header
from promise_pub.delivery.input.lines import count_line_ends
from promise_pub.delivery.input.reader import FilePosition, read_batches, read_header
from promise_pub.errors import BadHeader
from promise_pub.parameters.columns import MAX_COLUMNS
from promise_pub.records import Rejected, Row

COMMA = Dialect(header=True)
SEMICOLON = Dialect(delimiter=";", encoding="cp1252", header=True)
TAB = Dialect(delimiter="\t", header=True)


@pytest.mark.parametrize(
    ("head", "dialect", "header"),
    [
        (b"name,mail\na,b\n", COMMA, Header(("name", "mail"), 10, 2)),
        (b"name,mail\r\na,b\r\n", COMMA, Header(("name", "mail"), 11, 2)),
        (b"name,mail\ra,b\r", COMMA, Header(("name", "mail"), 10, 2)),
        (b"name,mail\r", COMMA, Header(("name", "mail"), 10, 2)),
        (b"\r\n\r\n\rname,mail\r\na,b", COMMA, Header(("name", "mail"), 16, 5)),
        (b"\xef\xbb\xbfname,mail\na,b\n", COMMA, Header(("name", "mail"), 13, 2)),
        (b"name,mail", COMMA, Header(("name", "mail"), 9, 2)),
        (b"id\n1\n", COMMA, Header(("id",), 3, 2)),
        (b"\n\r\nname,mail\n", COMMA, Header(("name", "mail"), 13, 4)),
        (b'"first name","say ""hi"""\n', COMMA, Header(("first name", 'say "hi"'), 26, 2)),
        (b'"a,b"\n', COMMA, Header(("a,b",), 6, 2)),
        (b'"a;b"\n', COMMA, Header(("a;b",), 6, 2)),
        (b" name , mail\n", COMMA, Header((" name ", " mail"), 13, 2)),
        (b"Gr\xf6\xdfe;\x80\n", SEMICOLON, Header(("Größe", "€"), 8, 2)),
        (b"a\tb, c\td\n", TAB, Header(("a", "b, c", "d"), 9, 2)),
        (",".join(f"c{n}" for n in range(100)).encode(), COMMA,
         Header(tuple(f"c{n}" for n in range(100)), 389, 2)),
        (b"", COMMA, None),
        (b"\xef\xbb\xbf", COMMA, None),
        (b"\n\r\n\n", COMMA, None),
        (b"\r\r", COMMA, None),
    ],
)  # fmt: skip
def test_a_header_names_the_columns(head: bytes, dialect: Dialect, header: Header | None) -> None:
    assert find_header(head, dialect, whole=True) == header


BAD = [
    (b"name,,mail\n", "cannot be used as column names: column 2 has no name"),
    (b"name,\n", "column 2 has no name"),
    (b",\n", "column 1 has no name"),
    (b'""\n', "column 1 has no name"),
    (b"a,b,a,a\n", "'a' appears 3 times"),
    (b"a,b\0\n", "column 2 holds the control character U+0000"),
    (b'a,"b\nc"\n', "column 2 holds the control character U+000A"),
    (b'"a\rb"\n', "column 1 holds the control character U+000D"),
    (b"a," + b"x" * 101 + b"\n", "column 2 has a name of 101 characters, over the limit of 100"),
    (b",".join(b"%d" % n for n in range(101)), f"101 columns, over the limit of {MAX_COLUMNS}"),
    (b"," * 5000, "over the limit of 100"),
    (b"Gr\xf6\xdfe,b\n", "The header in line 1 is not UTF-8: byte 0xf6 at column 3"),
    (b'\n\n"a"b,c\n', "The header in line 3 has text after a closing quote"),
    (b'"a,b\nc,d\n', "has a quote that never closes"),
    (
        b'"sep=;"\r\nname;mail\n',
        "Line 1 is Excel's sep= line, which names the delimiter and is no row: delete it.",
    ),
    (b"name;mail\na;b\n", "it is one, 'name;mail'; is the delimiter ;?"),
    (b"name\tmail\n", "is the delimiter tab?"),
]


@pytest.mark.parametrize(("head", "says"), BAD, ids=[says[:30] for _, says in BAD])
def test_a_header_that_cannot_be_used_is_named(head: bytes, says: str) -> None:
    with pytest.raises(BadHeader) as error:
        find_header(head, COMMA, whole=True)
    assert says in error.value.message
    assert len(error.value.message) < 300


@pytest.mark.parametrize("head", [b"x" * 70_000, b'"' + b"x\n" * 35_000, b"\n" * 70_000])
def test_a_header_is_not_looked_for_without_end(head: bytes) -> None:
    with pytest.raises(BadHeader, match=f"does not end within {HEADER_LIMIT:,} bytes"):
        find_header(head, COMMA, whole=False)


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([COMMA, SEMICOLON, TAB]), st.booleans())
def test_any_bytes_are_a_header_or_none_or_a_bad_one(head: bytes, dialect: Dialect, whole: bool) -> None:
    try:
        header = find_header(head, dialect, whole=whole)
    except BadHeader:
        return
    if header:
        assert 1 <= len(header.keys) <= MAX_COLUMNS
        assert len(set(header.keys)) == len(header.keys)
        assert 0 < header.offset <= len(head)
        before = head[: header.offset]
        assert header.line == 1 + count_line_ends(before) + (not before.endswith((b"\n", b"\r")))
        assert before[-1:] != b"\r" or head[header.offset :][:1] != b"\n"


def test_a_header_cut_off_in_its_crlf_is_not_taken_for_one_that_ends_with_cr() -> None:
    with pytest.raises(BadHeader, match="does not end within"):
        find_header(b"a,b\r", COMMA, whole=False)
    assert find_header(b"a,b\r\n", COMMA, whole=False) == Header(("a", "b"), 5, 2)


def in_file(folder: Path, data: bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(data)
    return path


async def test_the_header_is_neither_a_row_nor_rejected_and_lines_count_on(tmp_path: Path) -> None:
    path = in_file(tmp_path, b"\xef\xbb\xbf\nid,name,mail\nbad\n1,2,3\n")
    batches = [batch async for batch in read_batches(path, Dialect(width=3, header=True))]
    assert [row for batch in batches for row in batch.rows] == [Row(1, "1", "2", "3")]
    assert [one for batch in batches for one in batch.rejected] == [Rejected(3, "has 1 field, not 3", "bad")]
    assert (batches[-1].offset, batches[-1].line) == (path.stat().st_size, 5)


@pytest.mark.parametrize("chunk_size", [1, 3, 1000])
async def test_a_file_with_a_header_is_read_on_from_any_batch(tmp_path: Path, chunk_size: int) -> None:
    path = in_file(tmp_path, b'\n\na;b\r\n1;2\r"x\ny";3\r\nbad\n\r4;5\r')
    dialect = Dialect(delimiter=";", header=True)
    batches = [batch async for batch in read_batches(path, dialect, chunk_size=chunk_size)]
    rows = [row for batch in batches for row in batch.rows]
    rejected = [one for batch in batches for one in batch.rejected]
    assert rows == [Row(1, "1", "2"), Row(2, "x\ny", "3"), Row(3, "4", "5")]
    assert rejected == [Rejected(7, "has 1 field, not 2", "bad")]
    for done, batch in enumerate(batches, start=1):
        accepted = sum(len(one.rows) for one in batches[:done])
        start = FilePosition(batch.offset, batch.line, accepted + 1)
        again = [one async for one in read_batches(path, dialect, start=start)]
        assert [row for one in again for row in one.rows] == rows[accepted:]
        before = sum(len(one.rejected) for one in batches[:done])
        assert [bad for one in again for bad in one.rejected] == rejected[before:]


@pytest.mark.parametrize("data", [b"", b"\n\n"])
async def test_a_file_without_a_record_has_no_header_and_no_batches(tmp_path: Path, data: bytes) -> None:
    path = in_file(tmp_path, data)
    assert await read_header(path, COMMA) is None
    assert [batch async for batch in read_batches(path, COMMA)] == []


async def test_a_long_file_is_not_read_for_its_header(tmp_path: Path) -> None:
    path = in_file(tmp_path, b"a,b\n" * 100_000)
    assert await read_header(path, COMMA) == Header(("a", "b"), 4, 2)
    path = in_file(tmp_path, b"x" * 1_000_000)
    with pytest.raises(BadHeader, match="does not end within"):
        await read_header(path, COMMA)
