"""Hits out of a file: CSV with a header, or a JSON object a line. Each is taken as it would be noted, or the file is none.

A hit is told by `hits.COLUMNS`; only `at`, `session_id` and `page` must be there. Its id, where the file has none,
follows from its line, so that a file that is imported again adds nothing, and hits of one moment keep their order.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
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
    storable_text,
)

BATCH = 1000  # hits at a time
MAX_LINE_LENGTH = 1_000_000  # characters: a file may have no line end at all
MAX_PROBLEMS = 20  # that are told: who has more reads no further
NEEDED = ("at", "session_id", "page")

Record = Mapping[str, Any]
Line = tuple[int, Record | str]
"""Its number, and the record that begins or, in CSV, ends on it; or what is wrong with it."""


def read_hits(path: Path, *, anonymise: bool = False) -> Iterator[list[Hit]]:
    """The file's hits, BATCH of them at a time, in constant memory. It is read meanwhile: take them in a thread.

    Raises ImportRefused where it cannot be read, and at the end of one that holds what is no hit, naming each such
    line, or the first MAX_PROBLEMS of them.
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
        problems.append("it is not UTF-8")
    except _LineTooLong as error:
        problems.append(str(error))
    if problems:
        raise ImportRefused("\n".join([f"{path}: nothing was imported", *problems]))


class _LineTooLong(Exception):
    """What comes after it is not read."""


def _read(file: TextIO) -> Iterator[str]:
    for number in count(1):
        line = file.readline(MAX_LINE_LENGTH + 1)
        if len(line) > MAX_LINE_LENGTH:
            raise _LineTooLong(f"line {number}: is longer than {MAX_LINE_LENGTH:,} characters")
        if not line:
            return
        yield line


def _batches(file: TextIO, problems: list[str], anonymise: bool) -> Iterator[list[Hit]]:
    """Those before the first problem; what comes then is looked at for more of them."""
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
    """What makes the rest unreadable is the last."""
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
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        yield number, record if isinstance(record, dict) else "is no JSON object"


def _table(lines: Iterator[str]) -> Iterator[Line]:
    reader = csv.DictReader(lines, strict=True)
    try:
        if wrong := _wrong_with(reader.fieldnames or ()):
            yield 1, wrong
            return
        for record in reader:
            if None in record or None in record.values():
                yield reader.line_num, "has not as many fields as the first one"
            else:
                yield reader.line_num, {name: value or None for name, value in record.items()}
    except csv.Error as error:
        yield reader.reader.line_num, str(error)


def _wrong_with(names: Sequence[str]) -> str | None:
    if missing := [name for name in NEEDED if name not in names]:
        return f"there is no column {missing[0]}: a hit has {', '.join(NEEDED)}"
    if twice := [name for name in HIT_COLUMNS if names.count(name) > 1]:
        return f"there are {names.count(twice[0])} columns {twice[0]}"
    return _unknown(names)


def _unknown(names: Iterable[str]) -> str | None:
    """What to say of the first name that is none."""
    unknown = next((name for name in names if name not in HIT_COLUMNS), None)
    if unknown is None:
        return None
    return f"there is no {unknown[:50]!r} in a hit: there are {', '.join(HIT_COLUMNS)}"


def _hit(record: Record | str, line: int, *, anonymise: bool) -> Hit:
    """Raises ValueError that says what is wrong with it."""
    if isinstance(record, str):
        raise ValueError(record)
    if unknown := _unknown(record):
        raise ValueError(unknown)
    values = {name: record.get(name) for name in HIT_COLUMNS}
    at = _needed(values, "at", _moment)
    address = _one(values, "ip", _address)
    return Hit(
        id=_one(values, "id", _uuid) or _id_of(at, line, record),
        at=at,
        session_id=_needed(values, "session_id", _uuid),
        page=_needed(values, "page", _page),
        path=_one(values, "path", _text),
        method=_one(values, "method", _text),
        status=_one(values, "status", _whole(999)),
        ip=anonymise_address(address) if address and anonymise else address,
        port=None if anonymise else _one(values, "port", _whole(65535)),
        user_agent=_one(values, "user_agent", _text),
        referrer=_one(values, "referrer", _text),
        headers=headers_as_json(_one(values, "headers", _pairs) or (), anonymise=anonymise),
        took_ms=_one(values, "took_ms", _milliseconds),
    )


def _id_of(at: datetime, line: int, record: Record) -> UUID:
    told = json.dumps(record, sort_keys=True).encode()
    return make_hit_id(at, line, int.from_bytes(blake2b(told, digest_size=6).digest()))


def _one(values: Record, name: str, cast: Callable[[Any], Any]) -> Any:
    if values[name] is None:
        return None
    try:
        return cast(values[name])
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ValueError(f"{name} cannot be {str(values[name])[:50]!r}") from None


def _needed(values: Record, name: str, cast: Callable[[Any], Any]) -> Any:
    if values[name] is None:
        raise ValueError(f"{name} is missing")
    return _one(values, name, cast)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _moment(value: object) -> datetime:
    """In UTC, where it tells no zone. The first year there is and the last are where times come to be endless."""
    at = datetime.fromisoformat(_string(value))
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    if not MINYEAR < at.year < MAXYEAR:
        raise ValueError
    return at


def _uuid(value: object) -> UUID:
    return UUID(_string(value))


def _text(value: object) -> str | None:
    return storable_text(_string(value))


def _page(value: object) -> str:
    """What the end of a session is called is no page."""
    text = _text(value)
    if not text or len(text) > MAX_PAGE_LENGTH or text == EXIT:
        raise ValueError
    return text


def _address(value: object) -> Address:
    """As servers note it: an IPv4 address is one however it is written, and none has a zone."""
    address = ip_address(_string(value).partition("%")[0])
    return (address.version == 6 and address.ipv4_mapped) or address


def _whole(most: int) -> Callable[[Any], int]:
    def cast(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError
        number = int(value)
        if not 0 <= number <= most:
            raise ValueError
        return number

    return cast


def _milliseconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not 0 <= number < 1e9:  # refuses nan too
        raise ValueError
    return number


def _pairs(value: object) -> Sequence[tuple[str, str]]:
    pairs = json.loads(value) if isinstance(value, str) else value
    if not isinstance(pairs, list):
        raise TypeError
    for pair in pairs:
        if not (isinstance(pair, list) and [type(part) for part in pair] == [str, str]):
            raise TypeError
    return [(name, text) for name, text in pairs]
