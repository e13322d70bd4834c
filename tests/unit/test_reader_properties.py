"""What holds of the CSV reader for all bytes: found by hypothesis, and against a plain reader that may be slow."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_pub.delivery import dialect, quotes, reader
from promise_pub.delivery.reader import Reader
from promise_pub.records import Batch, Row

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
PIECES += [b"\xef\xbb\xbf", b'""', b"a,b\n", b'"a",', b'a","b\n', b'"\n']
dialect_bytes = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
any_bytes = st.binary(max_size=200) | dialect_bytes
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=20)


def read(data: bytes, sizes: list[int] | None = None, start: Batch | None = None, number: int = 1):
    """All batches of the data, cut into chunks of the given sizes, over and over."""
    source = Reader(offset=start.offset, line=start.line, number=number) if start else Reader()
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


def rejected(batches):
    return [one for batch in batches for one in batch.rejected]


@dataclass
class Plain:
    """The dialect once more, a byte at a time and each record afresh: slow, and simple enough to be believed."""

    data: bytes
    rows: list = field(default_factory=list)
    rejected: list = field(default_factory=list)  # (line, kind of reason)

    def read(self):
        data, line, at = self.data.removeprefix(b"\xef\xbb\xbf"), 1, 0
        if data and not data.endswith(b"\n"):
            data += b"\r\n"
        while at < len(data):
            newline = data.index(b"\n", at)
            if data[at : newline + 1] not in (b"\n", b"\r\n"):
                newline = self.record(data, at, newline, line)
            line += data.count(b"\n", at, newline + 1)
            at = newline + 1
        return self

    def record(self, data, at, newline, line):
        if newline + 1 - at > dialect.RECORD_LIMIT:
            self.rejected.append((line, "bytes"))
            return newline
        end, outcome = self.fields(data[at : at + dialect.RECORD_LIMIT])
        if end is None:
            inside = len(data) - at < dialect.RECORD_LIMIT
            self.rejected.append((line, outcome or ("never" if inside else "late")))
            return newline
        if any(
            spans and len(raw.decode(errors="replace")) > dialect.FIELD_LIMIT
            for raw, spans in outcome
        ):
            self.rejected.append((line, "late"))
            return newline
        reason = self.fault(data[at : at + end].removesuffix(b"\r"), [raw for raw, _ in outcome])
        if reason:
            self.rejected.append((line, reason))
        else:
            self.rows.append(Row(len(self.rows) + 1, *(raw.decode() for raw, _ in outcome)))
        return at + end

    def fields(self, data):
        """(where the newline is that ends the record, its fields) or (None, why there is none, if known)."""
        fields, at = [], 0
        while True:
            if data[at : at + 1] == b'"':
                raw, at = b"", at + 1
                while data[at : at + 1] != b'"' or data[at : at + 2] == b'""':
                    if at >= len(data):
                        return None, None
                    raw += data[at : at + 1]
                    at += 2 if data[at : at + 2] == b'""' else 1
                at += 1
                fields.append((raw, b"\n" in raw))
                if at >= len(data) or data[at:] == b"\r":
                    return None, None
                if not re.match(rb",|\r?\n", data[at:]):
                    return None, "text"
                at += data[at : at + 1] == b"\r"
            else:
                raw = re.match(rb"[^,\n]*", data[at:])[0]
                at += len(raw)
                if at >= len(data):
                    return None, None
                fields.append(
                    (raw.removesuffix(b"\r") if data[at : at + 1] == b"\n" else raw, False)
                )
            if data[at : at + 1] == b"\n":
                return at, fields
            at += 1

    def fault(self, record, fields):
        try:
            record.decode()
        except UnicodeDecodeError:
            return "utf"
        if b"\0" in record:
            return "nul"
        if len(fields) != 2:
            return "fields"
        return "long" if max(len(raw.decode()) for raw in fields) > dialect.FIELD_LIMIT else None


KINDS = {
    "has text after": "text",
    "has a quote that never": "never",
    "has a quote that does not": "late",
    "has a field of": "long",
    "has ": "fields",
    "holds a NUL": "nul",
    "is not UTF-8": "utf",
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
    monkeypatch.setattr(dialect, "ROW_REACH", 8)
    monkeypatch.setattr(quotes, "_SHORT_FIELDS", re.compile(rb'(?:"[^"]{0,2}+",|[^",]{0,4}+,)*+'))


@quickly
@given(any_bytes, cuts)
def test_agrees_with_a_plain_reader_on_any_bytes(data, sizes):
    batches, plain = read(data, sizes), Plain(data).read()
    assert rows(batches) == plain.rows
    assert kinds(batches) == plain.rejected
    assert batches[-1].offset == len(data)


def test_agrees_with_a_plain_reader_at_the_limits(small_limits):
    @settings(quickly, max_examples=1_000)
    @given(any_bytes, cuts)
    def agrees(data, sizes):
        batches, plain = read(data, sizes), Plain(data).read()
        assert rows(batches) == plain.rows
        assert kinds(batches) == plain.rejected
        assert batches[-1].offset == len(data)

    agrees()


def test_memory_is_bounded_whatever_the_bytes(small_limits):
    @quickly
    @given(any_bytes, st.integers(1, 12))
    def bounded(data, size):
        source = Reader()
        for chunk in chunks(data * 20, [size]):
            source.feed(chunk)
            # While a line is skipped, its first bytes are kept for the excerpt.
            assert source.buffered <= max(dialect.RECORD_LIMIT, 4 * dialect.EXCERPT) + size

    bounded()


@quickly
@given(any_bytes, cuts)
def test_the_result_does_not_depend_on_the_chunks(data, sizes):
    whole, cut = read(data), read(data, sizes)
    assert rows(cut) == rows(whole)
    assert rejected(cut) == rejected(whole)
    assert cut[-1].offset == whole[-1].offset == len(data)
    assert cut[-1].line == whole[-1].line


@quickly
@given(any_bytes, cuts)
def test_reading_can_start_again_at_any_batch(data, sizes):
    batches = read(data, sizes)
    for done, checkpoint in enumerate(batches, start=1):
        accepted = len(rows(batches[:done]))
        again = read(data[checkpoint.offset :], sizes, checkpoint, accepted + 1)
        assert rows(again) == rows(batches)[accepted:]
        assert rejected(again) == rejected(batches)[len(rejected(batches[:done])) :]


def test_reading_can_start_again_at_the_limits(small_limits):
    test_reading_can_start_again_at_any_batch()
    test_the_result_does_not_depend_on_the_chunks()


@quickly
@given(any_bytes)
def test_every_line_that_is_not_blank_is_accounted_for(data):
    """Rejects stand on lines of their own, and rows take up the rest."""
    batches = read(data)
    *lines, last = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    blank = not last and all(line in (b"", b"\r") for line in lines)
    count = len(rows(batches)) + len(rejected(batches))
    assert (count == 0) == blank
    assert count <= len(lines) + 1
    assert len({one.line for one in rejected(batches)}) == len(rejected(batches))


@quickly
@given(
    st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: not set(line) & set(b'"\r\n')))
)
def test_without_quotes_every_line_is_one_row_or_one_reject(lines):
    batches = read(b",\n" + b"\n".join(lines))
    assert len(rows(batches)) + len(rejected(batches)) == 1 + len(lines)


@quickly
@given(any_bytes)
def test_every_value_is_text_that_postgresql_takes(data):
    batches = read(data)
    values = [value for row in rows(batches) for value in (row.name, row.mail)]
    values += [value for one in rejected(batches) for value in (one.reason, one.excerpt)]
    for value in values:
        assert "\0" not in value
        value.encode()  # raises on lone surrogates
    assert all(len(one.excerpt) <= 200 for one in rejected(batches))


texts = st.text(
    st.sampled_from('ab,"\r\n é😀')
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    max_size=12,
)


@quickly
@given(
    st.lists(st.tuples(texts, texts)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    cuts,
)
def test_agrees_with_pythons_csv_on_what_it_writes(records, line_end, quoting, sizes):
    if line_end == "\n" and quoting == csv.QUOTE_MINIMAL:
        # Python leaves a CR unquoted here, and then takes it for a line end itself.
        records = [(name.replace("\r", ""), mail.replace("\r", "")) for name, mail in records]
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=line_end, quoting=quoting).writerows(records)
    data = b"\xef\xbb\xbf" + file.getvalue().encode()
    batches = read(data, sizes)
    assert [(row.name, row.mail) for row in rows(batches)] == records
    assert [
        tuple(row) for row in csv.reader(io.StringIO(file.getvalue(), newline=""), strict=True)
    ] == records
    assert rejected(batches) == []
