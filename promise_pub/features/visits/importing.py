"""Import of hits from a file: CSV with a header, or a JSON object per line. One invalid hit refuses the whole file.

A hit has the fields of `hits.HIT_COLUMNS`, of which `at`, `session_id` and `page` are required. Headers that
are not kept any more are dropped. A missing id is derived from the line: a file that is imported twice adds nothing, and hits of the same time keep their order.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from io import TextIOWrapper
from ipaddress import ip_address
from itertools import chain, count
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from promise_pub.addresses import Address
from promise_pub.delivery.input.signatures import LONGEST, fault_of
from promise_pub.features.visits.chains import EXIT
from promise_pub.features.visits.errors import ImportRefused
from promise_pub.features.visits.hits import (
    HIT_COLUMNS,
    MAX_PAGE_LENGTH,
    Hit,
    anonymise_address,
    headers_as_json,
    make_hit_id,
    storable_referrer,
    storable_text,
)
from promise_pub.json_text import parse_json
from promise_pub.settings import casts
from promise_pub.times import parse_moment

BATCH = 1000  # hits
MAX_LINE_LENGTH = 1_000_000  # characters; a file may have no line ends
MAX_PROBLEMS = 20  # that are reported
REQUIRED = ("at", "session_id", "page")

Record = Mapping[str, Any]
Line = tuple[int, Record | str]
"""The number of a line with the record that starts on it, or in CSV ends on it, or with the reason why it has none."""


def read_hits(path: Path, *, anonymise: bool = False) -> Iterator[list[Hit]]:
    """Yields the hits of a file in batches, in constant memory. It reads the file meanwhile, so run it in a thread.

    Raises ImportRefused when the file cannot be read, or at its end when lines are no hits; the message names these
    lines, up to MAX_PROBLEMS of them.
    """
    problems: list[str] = []
    try:
        with path.open("rb") as file:
            if fault := fault_of(file.peek(LONGEST)):
                problems.append(fault)
            else:
                text = TextIOWrapper(file, "utf-8-sig", newline="")
                yield from _batches(text, problems, anonymise)
    except OSError as error:
        raise ImportRefused(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        problems.append("the file is not UTF-8")
    except _LineTooLong as error:
        problems.append(str(error))
    if problems:
        raise ImportRefused("\n".join([f"{path}: nothing was imported", *problems]))


class _LineTooLong(Exception):
    """A line is too long. The rest of the file is not read."""


def _read(file: TextIO) -> Iterator[str]:
    for number in count(1):
        line = file.readline(MAX_LINE_LENGTH + 1)
        if len(line) > MAX_LINE_LENGTH:
            raise _LineTooLong(f"line {number}: is longer than {MAX_LINE_LENGTH:,} characters")
        if not line:
            return
        yield line


def _batches(file: TextIO, problems: list[str], anonymise: bool) -> Iterator[list[Hit]]:
    """Yields the hits before the first problem. The rest of the file is only searched for further problems."""
    batch: list[Hit] = []
    for number, record in _lines(file):
        try:
            batch.append(_hit(record, number, anonymise=anonymise))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
        if len(problems) == MAX_PROBLEMS:
            return
        if problems:
            batch.clear()
        elif len(batch) == BATCH:
            yield batch
            batch = []
    if batch and not problems:
        yield batch


def _lines(file: TextIO) -> Iterator[Line]:
    """Yields the lines. A problem that makes the rest unreadable comes last."""
    blank, first = 0, ""
    lines = _read(file)
    for first in lines:
        if first.strip():
            break
        blank += 1
    read = _json_lines if first.lstrip()[:1] == "{" else _table
    for number, record in read(chain([first], lines)):
        yield blank + number, record


def _json_lines(lines: Iterator[str]) -> Iterator[Line]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except json.JSONDecodeError:
            record = None
        except ValueError as error:
            yield number, str(error)
            continue
        yield number, record if isinstance(record, dict) else "is not a JSON object"


def _table(lines: Iterator[str]) -> Iterator[Line]:
    reader = csv.DictReader(lines, strict=True)
    try:
        if problem := _header_problem(reader.fieldnames or ()):
            yield 1, problem
            return
        for record in reader:
            if None in record or None in record.values():
                yield reader.line_num, "does not have as many fields as the first line"
            else:
                yield reader.line_num, {name: value or None for name, value in record.items()}
    except csv.Error as error:
        yield reader.reader.line_num, str(error)


def _header_problem(names: Sequence[str]) -> str | None:
    if missing := [name for name in REQUIRED if name not in names]:
        return f"the column {missing[0]} is missing: a hit needs {', '.join(REQUIRED)}"
    if twice := [name for name in HIT_COLUMNS if names.count(name) > 1]:
        return f"the column {twice[0]} appears {names.count(twice[0])} times"
    return _unknown_field(names)


def _unknown_field(names: Iterable[str]) -> str | None:
    """Returns a message about the first name that is no field of a hit."""
    unknown = next((name for name in names if name not in HIT_COLUMNS), None)
    if unknown is None:
        return None
    return f"the field {unknown[:50]!r} is unknown: a hit has {', '.join(HIT_COLUMNS)}"


def _hit(record: Record | str, line: int, *, anonymise: bool) -> Hit:
    """Returns the hit of a record. Raises ValueError with the problem as its message."""
    if isinstance(record, str):
        raise ValueError(record)
    if unknown := _unknown_field(record):
        raise ValueError(unknown)
    values = {name: record.get(name) for name in HIT_COLUMNS}
    at = _required(values, "at", _time)
    address = _optional(values, "ip", _address)
    return Hit(
        id=_optional(values, "id", _uuid) or _derive_id(at, line, record),
        at=at,
        session_id=_required(values, "session_id", _uuid),
        page=_required(values, "page", _page),
        path=_optional(values, "path", _text),
        method=_optional(values, "method", _text),
        status=_optional(values, "status", _whole(999)),
        ip=anonymise_address(address) if address and anonymise else address,
        port=None if anonymise else _optional(values, "port", _whole(65535)),
        user_agent=_optional(values, "user_agent", _text),
        referrer=_optional(values, "referrer", _referrer),
        headers=headers_as_json(_optional(values, "headers", _pairs) or ()),
        took_ms=_optional(values, "took_ms", _milliseconds),
        known=_optional(values, "known", _flag) is not False,
    )


def _derive_id(at: datetime, line: int, record: Record) -> UUID:
    content = json.dumps(record, sort_keys=True).encode()
    return make_hit_id(at, line, int.from_bytes(blake2b(content, digest_size=6).digest()))


def _optional(values: Record, name: str, cast: Callable[[Any], Any]) -> Any:
    if values[name] is None:
        return None
    try:
        return cast(values[name])
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{name} cannot be {str(values[name])[:50]!r}") from None


def _required(values: Record, name: str, cast: Callable[[Any], Any]) -> Any:
    if values[name] is None:
        raise ValueError(f"{name} is missing")
    return _optional(values, name, cast)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    return parse_moment(_string(value))


def _uuid(value: object) -> UUID:
    return UUID(_string(value))


def _text(value: object) -> str | None:
    return storable_text(_string(value))


def _referrer(value: object) -> str | None:
    return storable_referrer(_string(value))


def _flag(value: object) -> bool:
    return value if isinstance(value, bool) else casts.flag(_string(value))


def _page(value: object) -> str:
    """Returns a page. The name of the exit is refused."""
    text = _text(value)
    if not text or len(text) > MAX_PAGE_LENGTH or text == EXIT:
        raise ValueError
    return text


def _address(value: object) -> Address:
    """Returns an address as servers record it: without a zone, and IPv4 even where it is mapped to IPv6."""
    address = ip_address(_string(value).partition("%")[0])
    return (address.version == 6 and address.ipv4_mapped) or address


def _whole(maximum: int) -> Callable[[Any], int]:
    def cast(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError
        number = int(value)
        if not 0 <= number <= maximum:
            raise ValueError
        return number

    return cast


def _milliseconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    # This refuses NaN, too.
    if not 0 <= number < 1e9:
        raise ValueError
    return number


def _pairs(value: object) -> Sequence[tuple[str, str]]:
    pairs = parse_json(value) if isinstance(value, str) else value
    if not isinstance(pairs, list):
        raise TypeError
    for pair in pairs:
        if not (isinstance(pair, list) and [type(part) for part in pair] == [str, str]):
            raise TypeError
    return [(name, text) for name, text in pairs]
