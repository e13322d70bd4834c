"""The CSV dialects: where a record ends, what its fields are, why it is rejected. Pure functions over bytes.

One delimiter, double quotes, quotes doubled inside quotes. Outside quotes LF, CRLF or CR ends a record, whichever comes;
inside them they are data. A quote inside an unquoted field is literal. Nothing is stripped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from promise_pub.delivery.input.lines import with_line_feeds
from promise_pub.parameters import Parameters
from promise_pub.records import Rejected, Row

FIELD_LIMIT = 131_072  # characters, as Python's csv module
# Bytes that a record stays below, without its line end: two quoted fields of four-byte characters and a delimiter fit. It
# holds for records of any width, so that memory and the time for one record stay what they are.
RECORD_LIMIT = 2 * (4 * FIELD_LIMIT + 2) + 3
EXCERPT = 200  # characters of a rejected record that are kept
MOST_FIELDS = 1_000  # counted exactly up to here: a megabyte of commas is not worth the time

# Excel's first line that names the delimiter, which other spreadsheets show as data.
SEP_LINE = re.compile(rb'sep=[^"\r\n]?|"sep=[^"\r\n]?"', re.IGNORECASE)
IS_SEP_LINE = "is Excel's sep= line, which names the delimiter and is no row: delete it"

# Bytes a row's pattern may look at: most rows are shorter, and a quote that stays open costs no more than this on each
# line.
ROW_REACH = 2_048

# Possessive quantifiers throughout: nothing is ever tried twice, so every pattern is linear in what it reads.
QUOTED = rb'[^"]*+(?:""[^"]*+)*+'  # what stands between a field's quotes
_ROW_QUOTED = rb'[^"\0]*+(?:""[^"\0]*+)*+'
BLANK_LINES = re.compile(rb"[\r\n]++")
_NOT_BLANK = rb"(?![\r\n])"
# A CR where the pattern may look no further could be half of a CRLF: that is not for the pattern to tell.
_ROW_END = rb"(?:\n|\r(?:\n|(?=[^\n])))"


@dataclass(frozen=True)
class Dialect:
    """Format of a file. With a header its first record holds the keys, and is not a row.

    `delimiter` is one ASCII character, but no quote, CR, LF or NUL; `encoding` is one of ENCODINGS.
    """

    width: int = 2
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = False

    @classmethod
    def of(cls, parameters: Parameters) -> Dialect:
        return cls(len(parameters.columns), parameters.delimiter, parameters.encoding, parameters.header)

    @property
    def bom(self) -> bytes:
        """Bytes that may precede the first record."""
        return b"\xef\xbb\xbf" if self.encoding == "utf-8" else b""

    @property
    def escaped(self) -> bytes:
        """Delimiter as part of a pattern."""
        return re.escape(self.delimiter.encode())

    @property
    def too_long(self) -> str:
        told = ", longer than two fields can be" if self.width == 2 else ""
        return f"is over the limit of {RECORD_LIMIT:,} bytes{told}"

    @cached_property
    def row(self) -> re.Pattern[bytes]:
        """Pattern of a row with its line end: each field quoted or plain."""
        plain = rb'[^"%b\r\n\0][^%b\r\n\0]*+|' % (self.escaped, self.escaped)
        field = rb'(?:"(%b)"|(%b))' % (_ROW_QUOTED, plain)
        fields = self.escaped.join([field] * self.width)
        return re.compile((_NOT_BLANK if self.width == 1 else b"") + fields + _ROW_END)

    @cached_property
    def line(self) -> bytes:
        """Delimiters and line end, an LF, of a row without quotes."""
        return self.delimiter.encode() * (self.width - 1) + b"\n"

    @cached_property
    def not_separators(self) -> bytes:
        """All bytes except the delimiter and LF."""
        return bytes(set(range(256)) - set(self.delimiter.encode() + b"\n"))

    @cached_property
    def _field(self) -> re.Pattern[str]:
        d = re.escape(self.delimiter)
        return re.compile(rf'(?:\A|{d})(?:"([^"]*+(?:""[^"]*+)*+)"|([^{d}]*+))')

    def fields(self, row: re.Match[bytes]) -> Sequence[str]:
        """Returns the fields of a match of `row`. Raises UnicodeDecodeError."""
        encoding = self.encoding
        if self.width == 2:  # what most files have, in a third of the time of what holds for any width
            quoted, plain, last_quoted, last = row.groups()
            return (
                plain.decode(encoding) if quoted is None else quoted.decode(encoding).replace('""', '"'),
                last.decode(encoding) if last_quoted is None else last_quoted.decode(encoding).replace('""', '"'),
            )
        groups = row.groups()
        return [
            plain.decode(encoding) if quoted is None else _unquoted(quoted.decode(encoding))
            for quoted, plain in zip(groups[::2], groups[1::2], strict=True)
        ]

    def write(self, fields: Sequence[str], *, quoted: bool = False) -> str:
        """Returns a record with these fields, without a line end: all `quoted`, or those that have to be."""
        marks = ('"', self.delimiter, "\r", "\n")
        written = (
            '"{}"'.format(field.replace('"', '""')) if quoted or any(mark in field for mark in marks) else field
            for field in fields
        )
        # An empty line would be no record.
        return self.delimiter.join(written) or '""'

    def judge(self, record: bytes, line: int, number: int) -> Row | Rejected:
        """Returns the row in a whole record, or why it is rejected. `record` comes without its line end."""
        try:
            text = record.decode(self.encoding)
        except UnicodeDecodeError as error:
            return Rejected(line, self.undecodable(record, error.start), self.excerpt(record))
        fields = self.split(text)
        if reason := self._fault(text, fields):
            return Rejected(line, reason, self.excerpt(record))
        return Row(number, *fields)

    def split(self, text: str) -> list[str]:
        """Returns the fields of a whole record, at most MOST_FIELDS + 1 of them."""
        if '"' not in text:
            return text.split(self.delimiter, MOST_FIELDS)
        matches = islice(self._field.finditer(text), MOST_FIELDS + 1)
        return [match[2] if match[1] is None else _unquoted(match[1]) for match in matches]

    def _fault(self, text: str, fields: list[str]) -> str | None:
        if "\0" in text:
            return "holds a NUL character"
        if len(fields) > MOST_FIELDS:
            return f"has over {MOST_FIELDS:,} fields, not {self.width}"
        if len(fields) != self.width:
            return f"has {len(fields)} field{'s' if len(fields) > 1 else ''}, not {self.width}"
        longest = max(map(len, fields))
        if longest > FIELD_LIMIT:
            return f"has a field of {longest:,} characters, over the limit of {FIELD_LIMIT:,}"
        return None

    def undecodable(self, record: bytes, at: int) -> str:
        """Says which byte of a record is not in the encoding, and where."""
        lines = with_line_feeds(record[:at]).decode(self.encoding).split("\n")
        place = f"column {len(lines[-1]) + 1}"
        if len(lines) > 1:
            place += f" of its line {len(lines)}"
        return f"is not {self.encoding.upper()}: byte {record[at]:#04x} at {place}"

    def excerpt(self, record: bytes | bytearray) -> str:
        """Returns the first characters of a record as PostgreSQL takes them: other bytes, and NUL, as \\x escapes."""
        # Four bytes a character: a character cut at the end of the slice is never among the first ones.
        text = record[: 4 * EXCERPT].decode(self.encoding, errors="backslashreplace")
        return text.replace("\0", r"\x00")[:EXCERPT]


def _unquoted(quoted: str) -> str:
    return quoted.replace('""', '"')


PLAIN = Dialect()
"""Default format: names and mails, commas, UTF-8, no header."""
