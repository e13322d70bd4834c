"""The CSV dialect: where a record ends, what its two fields are, why it is rejected. Pure functions over bytes.

Headerless, comma, double quotes, quotes doubled inside quotes. LF or CRLF ends a record; a lone CR is data. A quote
inside an unquoted field is literal. Nothing is stripped.
"""

from __future__ import annotations

import re
from itertools import islice

from promise_pub.records import Rejected, Row

FIELD_LIMIT = 131_072  # characters, as Python's csv module
# Bytes: two quoted fields of four-byte characters, the comma and CR LF. What is longer cannot be two good fields.
RECORD_LIMIT = 2 * (4 * FIELD_LIMIT + 2) + 3
EXCERPT = 200  # characters of a rejected record that are kept
MOST_FIELDS = 1_000  # counted exactly up to here: a megabyte of commas is not worth the time

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}  # by name
# By the names a client may use, in lower case. Supersets of ASCII in which no byte of another character is one of
# ASCII's, so that line ends, quotes and delimiters are single bytes wherever one starts to look. UTF-16 is none.
ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "cp1252": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-15": "iso-8859-15",
    "latin-9": "iso-8859-15",
}

TOO_LONG = f"is over the limit of {RECORD_LIMIT:,} bytes, longer than two fields can be"

# Possessive quantifiers throughout: nothing is ever tried twice, so every pattern is linear in what it reads.
QUOTED = rb'[^"]*+(?:""[^"]*+)*+'  # what stands between a field's quotes
_ROW_QUOTED = rb'[^"\0]*+(?:""[^"\0]*+)*+'
_ROW_PLAIN = rb'[^",\n\0][^,\n\0]*+|'
# A row with its line end: quoted name or plain name, quoted mail or plain mail (which keeps its CR).
ROW = re.compile(
    rb'(?:"(%b)"|(%b)),(?:"(%b)"\r?\n|(%b)\n)' % (_ROW_QUOTED, _ROW_PLAIN, _ROW_QUOTED, _ROW_PLAIN)
)
# Bytes ROW may look at: rows are shorter, and a quote that stays open costs no more than this on each line.
ROW_REACH = 2_048
BLANK_LINES = re.compile(rb"(?:\r?\n)++")

_FIELD = re.compile(r'(?:\A|,)(?:"([^"]*+(?:""[^"]*+)*+)"|([^,]*+))')


def name_and_mail(row: re.Match[bytes]) -> tuple[str, str]:
    """Name and mail out of a match of ROW. Raises UnicodeDecodeError."""
    quoted_name, name, quoted_mail, mail = row.groups()
    return (
        name.decode() if quoted_name is None else quoted_name.decode().replace('""', '"'),
        mail.removesuffix(b"\r").decode()
        if quoted_mail is None
        else quoted_mail.decode().replace('""', '"'),
    )


def judge(record: bytes, line: int, number: int) -> Row | Rejected:
    """The row that a whole record is, or why it is none. `record` comes without its line end."""
    try:
        text = record.decode()
    except UnicodeDecodeError as error:
        return Rejected(line, _not_utf8(record, error.start), excerpt(record))
    fields = _fields(text)
    if reason := _fault(text, fields):
        return Rejected(line, reason, excerpt(record))
    return Row(number, *fields)


def _fields(text: str) -> list[str]:
    """The fields of a whole record, but no more than one over MOST_FIELDS."""
    if '"' not in text:
        return text.split(",", MOST_FIELDS)
    matches = islice(_FIELD.finditer(text), MOST_FIELDS + 1)
    return [_unquoted(match[1], match[2]) for match in matches]


def _unquoted(quoted: str | None, plain: str) -> str:
    return plain if quoted is None else quoted.replace('""', '"')


def _fault(text: str, fields: list[str]) -> str | None:
    if "\0" in text:
        return "holds a NUL character"
    if len(fields) > MOST_FIELDS:
        return f"has over {MOST_FIELDS:,} fields, not 2"
    if len(fields) != 2:
        return f"has {len(fields)} field{'s' if len(fields) > 1 else ''}, not 2"
    longest = max(map(len, fields))
    if longest > FIELD_LIMIT:
        return f"has a field of {longest:,} characters, over the limit of {FIELD_LIMIT:,}"
    return None


def _not_utf8(record: bytes, at: int) -> str:
    lines = record[:at].decode().split("\n")
    place = f"column {len(lines[-1]) + 1}"
    if len(lines) > 1:
        place += f" of its line {len(lines)}"
    return f"is not UTF-8: byte {record[at]:#04x} at {place}"


def excerpt(record: bytes | bytearray) -> str:
    """The first characters of a record as text that PostgreSQL takes: what is not UTF-8, and NUL, as \\x escapes."""
    # Four bytes a character: a character cut at the end of the slice is never among the first ones.
    text = record[: 4 * EXCERPT].decode(errors="backslashreplace")
    return text.replace("\0", r"\x00")[:EXCERPT]
