"""What holds of the CSV reader for all bytes: found by hypothesis, and against a plain reader that may be slow."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery.input import dialect, quotes, reader
from promise_pub.delivery.input.dialect import Dialect
from promise_pub.parameters import ENCODINGS
from promise_pub.records import Batch, Row
from tests.reader_parts import FedReader

settings.register_profile("reader", deadline=None, derandomize=True, max_examples=200)
quickly = settings(settings.get_profile("reader"))

# Mostly what matters to the dialect, so that examples are dense in quotes, line ends and faults.
PIECES = [
    b'"',
    b'"',
    b",",
    b",",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    b"bc",
    "é".encode(),
    b"\xe9",
    b"\0",
]
PIECES += [b"\xef\xbb\xbf", b'""', b"a,b\n", b"a,b\r", b'"a",', b'a","b\n', b'"\n', b'"\r\n']
LINE_ENDS = [b"\n", b"\r\n", b"\r"]
dialects = st.builds(
    Dialect,
    width=st.sampled_from([1, 2, 2, 3, 4]),
    delimiter=st.sampled_from(",,;|\t^"),
    encoding=st.sampled_from(["utf-8", *sorted(set(ENCODINGS.values()))]),
)


@st.composite
def files(draw) -> tuple[Dialect, bytes]:
    """A dialect, and bytes dense in what matters to it."""
    chosen = draw(dialects)
    fields = [b"a", b'"b"', b'"c\nd"', b'"\r\n"', b'"\rg"', b'e"f', b'""', b"", "é".encode()]
    rows = st.lists(st.sampled_from(fields), min_size=chosen.width, max_size=chosen.width)
    line_ends = st.sampled_from(draw(st.sampled_from([LINE_ENDS, *([one] for one in LINE_ENDS)])))
    lines = st.tuples(rows, line_ends).map(lambda line: b",".join(line[0]) + line[1])
    pieces = st.sampled_from(PIECES) | lines
    data = draw(st.binary(max_size=200) | st.lists(pieces, max_size=60).map(b"".join))
    return chosen, data.replace(b",", chosen.delimiter.encode())


cuts = st.lists(st.integers(1, 12), min_size=1, max_size=20)


def read(
    file: tuple[Dialect, bytes],
    sizes: list[int] | None = None,
    start: Batch | None = None,
    number: int = 1,
):
    """All batches of the data, cut into chunks of the given sizes, over and over."""
    chosen, data = file
    place = {"offset": start.offset, "line": start.line, "number": number} if start else {}
    source = FedReader(chosen, **place, lines=True)
    batches = [source.feed(chunk) for chunk in chunks(data, sizes or [len(data) or 1])]
    return [*batches, source.finish()]


def chunks(data: bytes, sizes: list[int]):
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        yield data[at : at + size]
        at, turn = at + size, turn + 1


def rows(batches):
    return [row for batch in batches for row in batch.rows]


def lines(batches):
    return [line for batch in batches for line in batch.lines]


def rejected(batches):
    return [one for batch in batches for one in batch.rejected]


@dataclass
class Plain:
    """The dialects once more, a byte at a time and each record afresh: slow, and simple enough to be believed.

    Python tells it where lines end, by `bytes.splitlines`.
    """

    dialect: Dialect
    data: bytes
    rows: list = field(default_factory=list)
    lines: list = field(default_factory=list)  # of the rows
    rejected: list = field(default_factory=list)  # (line, kind of reason)

    def read(self):
        data, line, at = self.data, 1, 0
        if self.dialect.encoding == "utf-8":
            data = data.removeprefix(b"\xef\xbb\xbf")
        if data and not data.endswith((b"\n", b"\r")):
            data += b"\n"
        while at < len(data):
            first = data[at:].splitlines(keepends=True)[0]
            end = at + len(first.rstrip(b"\r\n"))
            if end > at:
                end = self.record(data, at, end, line)
            end += 2 if data[end : end + 2] == b"\r\n" else 1
            line += len(data[at:end].splitlines())
            at = end
        return self

    def record(self, data, at, newline, line):
        if newline - at >= dialect.RECORD_LIMIT:
            self.rejected.append((line, "bytes"))
            return newline
        end, outcome = self.fields(data[at : at + dialect.RECORD_LIMIT])
        if end is None:
            inside = len(data) - at < dialect.RECORD_LIMIT
            self.rejected.append((line, outcome or ("never" if inside else "late")))
            return newline
        if any(
            spans and len(raw.decode(self.dialect.encoding, "replace")) > dialect.FIELD_LIMIT for raw, spans in outcome
        ):
            self.rejected.append((line, "late"))
            return newline
        reason = self.fault(data[at : at + end], [raw for raw, _ in outcome])
        if reason:
            self.rejected.append((line, reason))
        else:
            texts = [raw.decode(self.dialect.encoding) for raw, _ in outcome]
            self.rows.append(Row(len(self.rows) + 1, *texts))
            self.lines.append(line)
        return at + end

    def fields(self, data):
        """(where the line end is that ends the record, its fields) or (None, why there is none, if known)."""
        fields, at, delimiter = [], 0, re.escape(self.dialect.delimiter.encode())
        while True:
            if data[at : at + 1] == b'"':
                raw, at = b"", at + 1
                while data[at : at + 1] != b'"' or data[at : at + 2] == b'""':
                    if at >= len(data):
                        return None, None
                    raw += data[at : at + 1]
                    at += 2 if data[at : at + 2] == b'""' else 1
                at += 1
                fields.append((raw, b"\n" in raw or b"\r" in raw))
                if at >= len(data):
                    return None, None
                if not re.match(rb"%b|\r|\n" % delimiter, data[at:]):
                    return None, "text"
            else:
                raw = re.match(rb"[^%b\r\n]*" % delimiter, data[at:])[0]
                at += len(raw)
                if at >= len(data):
                    return None, None
                fields.append((raw, False))
            if data[at : at + 1] in (b"\r", b"\n"):
                return at, fields
            at += 1

    def fault(self, record, fields):
        try:
            record.decode(self.dialect.encoding)
        except UnicodeDecodeError:
            return "utf"
        if b"\0" in record:
            return "nul"
        if len(fields) != self.dialect.width:
            return "fields"
        longest = max(len(raw.decode(self.dialect.encoding)) for raw in fields)
        return "long" if longest > dialect.FIELD_LIMIT else None


KINDS = {
    "has text after": "text",
    "has a quote that never": "never",
    "has a quote that does not": "late",
    "has a quote that leads past": "late",
    "has a field of": "long",
    "has ": "fields",
    "holds a NUL": "nul",
    "is not ": "utf",
    "is over the limit": "bytes",
}


def kinds(batches):
    return [
        (one.line, next(kind for start, kind in KINDS.items() if one.reason.startswith(start)))
        for one in rejected(batches)
    ]


@pytest.fixture
def small_limits(monkeypatch):
    """Limits so low that small examples reach them."""
    for module in (dialect, quotes, reader):
        monkeypatch.setattr(module, "FIELD_LIMIT", 8)
        monkeypatch.setattr(module, "RECORD_LIMIT", 30, raising=False)
    monkeypatch.setattr(reader, "_WINDOW", 8)
    monkeypatch.setattr(reader, "ROW_REACH", 8)
    monkeypatch.setattr(quotes, "_SHORT_RUN", 2)
    monkeypatch.setattr(quotes, "_SHORT_PAIRS", 0)


@settings(quickly, max_examples=600)
@given(files(), cuts)
def test_agrees_with_a_plain_reader_on_any_bytes(file, sizes):
    batches, plain = read(file, sizes), Plain(*file).read()
    assert rows(batches) == plain.rows
    assert lines(batches) == plain.lines
    assert kinds(batches) == plain.rejected
    assert batches[-1].offset == len(file[1])


def test_agrees_with_a_plain_reader_at_the_limits(small_limits):
    @settings(quickly, max_examples=2_000)
    @given(files(), cuts)
    def agrees(file, sizes):
        batches, plain = read(file, sizes), Plain(*file).read()
        assert rows(batches) == plain.rows
        assert lines(batches) == plain.lines
        assert kinds(batches) == plain.rejected
        assert batches[-1].offset == len(file[1])

    agrees()


def test_memory_is_bounded_whatever_the_bytes(small_limits):
    @quickly
    @given(files(), st.integers(1, 12))
    def bounded(file, size):
        chosen, data = file
        source = FedReader(chosen)
        for chunk in chunks(data * 20, [size]):
            source.feed(chunk)
            # While a line is skipped, its first bytes are kept for the excerpt.
            assert source.buffered <= max(dialect.RECORD_LIMIT, 4 * dialect.EXCERPT) + size

    bounded()


@quickly
@given(files(), cuts)
def test_the_result_does_not_depend_on_the_chunks(file, sizes):
    whole, cut = read(file), read(file, sizes)
    assert rows(cut) == rows(whole)
    assert rejected(cut) == rejected(whole)
    assert cut[-1].offset == whole[-1].offset == len(file[1])
    assert cut[-1].line == whole[-1].line


@quickly
@given(files(), cuts)
def test_reading_can_start_again_at_any_batch(file, sizes):
    chosen, data = file
    batches = read(file, sizes)
    for done, checkpoint in enumerate(batches, start=1):
        accepted = len(rows(batches[:done]))
        again = read((chosen, data[checkpoint.offset :]), sizes, checkpoint, accepted + 1)
        assert rows(again) == rows(batches)[accepted:]
        assert lines(again) == lines(batches)[accepted:]
        assert rejected(again) == rejected(batches)[len(rejected(batches[:done])) :]


def test_reading_can_start_again_at_the_limits(small_limits):
    test_reading_can_start_again_at_any_batch()
    test_the_result_does_not_depend_on_the_chunks()


@quickly
@given(files())
def test_every_line_that_is_not_blank_is_accounted_for(file):
    """Rejects stand on lines of their own, and rows take up the rest."""
    chosen, data = file
    batches = read(file)
    lines = data.removeprefix(chosen.bom).splitlines()
    count = len(rows(batches)) + len(rejected(batches))
    assert (count == 0) == (not any(lines))
    assert count <= len(lines)
    assert len({one.line for one in rejected(batches)}) == len(rejected(batches))


@quickly
@given(
    dialects,
    st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: not set(line) & set(b'"\r\n'))),
    st.sampled_from(LINE_ENDS),
)
def test_without_quotes_every_line_is_one_row_or_one_reject(chosen, lines, line_end):
    batches = read((chosen, line_end.join([chosen.delimiter.encode(), *lines])))
    assert len(rows(batches)) + len(rejected(batches)) == 1 + len(lines)


@quickly
@given(files())
def test_every_value_is_text_that_postgresql_takes(file):
    batches = read(file)
    values = [value for row in rows(batches) for value in row.fields]
    values += [value for one in rejected(batches) for value in (one.reason, one.excerpt)]
    for value in values:
        assert "\0" not in value
        value.encode()  # raises on lone surrogates
    assert all(len(one.excerpt) <= 200 for one in rejected(batches))


texts = st.text(
    st.sampled_from('ab,;|\t^"\r\n é') | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=12,
)


@st.composite
def tables(draw) -> tuple[Dialect, list[list[str]]]:
    """A dialect, and records of texts that its encoding has."""
    chosen = draw(dialects)
    known = texts.map(lambda text: text.encode(chosen.encoding, "ignore").decode(chosen.encoding))
    return chosen, draw(st.lists(st.lists(known, min_size=chosen.width, max_size=chosen.width)))


@quickly
@given(
    tables(),
    st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    cuts,
)
def test_agrees_with_pythons_csv_on_what_it_writes(table, line_ends, quoting, sizes):
    chosen, records = table
    form = {"delimiter": chosen.delimiter, "quoting": quoting}
    # Written with CRLF, so that a CR or an LF in a field is quoted; each line then ends as it is to.
    lines = [written(record, lineterminator="\r\n", **form) for record in records]
    text = "".join(line.removesuffix("\r\n") + end for line, end in zip(lines, cycle(line_ends), strict=False))
    data = chosen.bom + text.encode(chosen.encoding)
    batches = read((chosen, data), sizes)
    assert [list(row.fields) for row in rows(batches)] == records
    again = csv.reader(io.StringIO(text, newline=""), delimiter=chosen.delimiter, strict=True)
    assert [*filter(None, again)] == records  # a CR and an LF that meet in it are one line end, or a blank line
    assert rejected(batches) == []
    assert batches[-1].line == 1 + len(data.splitlines())


def written(record, **form):
    file = io.StringIO(newline="")
    csv.writer(file, **form).writerow(record)
    return file.getvalue()
