"""Values that plugins give for an event, checked: nothing of them can fail later on. Pure.

Each function reads all that a plugin gives for one event, or raises what the plugin raises, or WrongValue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, cast

from promise_pub.features.stats.records import SEPARATOR, Kind
from promise_pub.features.stats.sketches import member_digest
from promise_pub.histogram import bucket_of, upper_bound
from promise_pub.json_text import parse_json
from promise_pub.statistics import Amount, Buckets
from promise_pub.text import storable_json

MAX_GIVEN = 10_000  # keys, entries, members or buckets that one event may have
MAX_PART = 200  # characters of a part of a key
# Bytes of a part of a key: four parts fit into the 2,704 that an index takes.
MAX_PART_BYTES = 600
_SHORT = MAX_PART_BYTES // 4  # characters that have no more bytes, whichever they are
MAX_NUMBER = 10**12  # of an Amount or a bucket: nine million of them fit into a sum
MAX_VALUE = 10**10  # that is measured: nearly a million of them fit into a sum of thousandths
MAX_SUM = 10**15  # thousandths that one bucket of an event may add
MAX_JSON = 64 * 1024  # bytes of the value of an entry

# Control characters, the separators of keys among them, characters that turn the direction of writing, line separators,
# lone surrogates.
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_TEXT = frozenset((str,))
_NUMBERS = (int, float)
_NO_SEQUENCES = (str, bytes, dict)  # of values, though one could go through them


class WrongValue(Exception):
    """A plugin gave something that cannot be counted."""


Given = tuple[str, int | bytes, Any]
"""A key, a part of it (a bucket of values, or a digest that stands for a member of a set), and what an event adds there."""

Known = dict[Any, Any]
"""By keys that were read before what was made of them: the keys as they are stored, or the values that count them once."""


def read_counts(given: Iterable[Any], columns: int, known: Known) -> list[Given]:
    """Reads what Counting.count gives; each adds a number."""
    _check_sequence(given)
    values: list[Given] = []
    for one in given:
        if _is_plain(one):
            value = known.get(one)
            if value is None:
                value = join_key(one, columns), 0, 1
                _remember(known, one, value)
            values.append(value)
        elif isinstance(one, Amount):
            values.append((join_key(one.key, columns), 0, _whole(one.number)))
        else:
            values.append((join_key(one, columns), 0, 1))
        if len(values) > MAX_GIVEN:
            raise _too_many()
    return values


def read_measures(given: Iterable[Any], columns: int, known: Known) -> list[Given]:
    """Reads what Measuring.measure gives; each adds what a Cell has."""
    values: list[Given] = []
    for one in _listed(given):
        if isinstance(one, Buckets):
            values += _read_buckets(_join_known(one.key, columns, known), one.counts)
            if len(values) > MAX_GIVEN:
                raise _too_many()
        else:
            key, value = _pair(one)
            if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not 0 < value <= MAX_VALUE:
                raise WrongValue(f"{_words(value)} is no number over 0, and up to {MAX_VALUE:,}")
            thousandths = round(value * 1000)
            values.append((_join_known(key, columns, known), bucket_of(value), (1, thousandths, thousandths)))
    return values


def read_entries(given: Iterable[Any], columns: int, _: Known) -> list[Given]:
    """Reads what Latest.entry gives; each adds the text of its JSON."""
    return [(join_key(key, columns), 0, json_value(value, MAX_JSON)[0]) for key, value in map(_pair, _listed(given))]


def read_members(given: Iterable[Any], columns: int, known: Known) -> list[Given]:
    """Reads what Distinct.members gives; each part is the digest of a member."""
    return [
        (_join_known(key, columns, known), member_digest(_text(member)), None)
        for key, member in map(_pair, _listed(given))
    ]


READERS: dict[Kind, tuple[str, Callable[[Iterable[Any], int, Known], list[Given]]]] = {
    "counting": ("count", read_counts),
    "measuring": ("measure", read_measures),
    "latest": ("entry", read_entries),
    "distinct": ("members", read_members),
}
"""The method of a plugin of each kind, and what reads its values."""


def _join_known(key: Any, columns: int, known: Known) -> str:
    """Does the same as `join_key`, sooner for a key that comes again."""
    if not _is_plain(key):
        return join_key(key, columns)
    joined = known.get(key)
    if joined is None:
        joined = join_key(key, columns)
        _remember(known, key, joined)
    return cast(str, joined)


def _is_plain(key: Any) -> bool:
    """Tells whether equal keys are the same. Other kinds of text have ideas of their own of what is equal."""
    return type(key) is str or type(key) is tuple and (not key or _TEXT.issuperset(map(type, key)))


def _remember(known: Known, key: Any, made: Any) -> None:
    if len(known) < MAX_GIVEN:
        known[key] = made


def join_key(key: Any, columns: int) -> str:
    """Returns a key as it is stored: its parts cut at MAX_PART characters, with unsafe ones replaced."""
    if columns == 1 and isinstance(key, str):
        return _clean(key)
    if not isinstance(key, tuple):
        raise WrongValue(f"a key is {_words(key)}, not a text for each of {columns} columns")
    if len(key) != columns:
        raise WrongValue(f"a key has {len(key)} parts, and the statistic {columns} columns")
    return SEPARATOR.join(map(_clean, key))


def json_value(value: Any, most: int) -> tuple[str, Any]:
    """Returns the text of a value as JSON that PostgreSQL takes, and what it holds.

    Raises ValueError, TypeError or RecursionError for what is none, has more bytes, or is nested too deep.
    """
    text = storable_json(_encode(value))
    if len(text.encode()) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return text, parse_json(text)


def _listed(given: Iterable[Any]) -> list[Any]:
    _check_sequence(given)
    values = list(islice(given, MAX_GIVEN + 1))
    if len(values) > MAX_GIVEN:
        raise _too_many()
    return values


def _check_sequence(given: object) -> None:
    if isinstance(given, _NO_SEQUENCES):
        raise WrongValue(f"it gives {_words(given)}, not values one after the other")


def _too_many() -> WrongValue:
    return WrongValue(f"it gives more than {MAX_GIVEN:,} values for one event")


def _pair(one: Any) -> tuple[Any, Any]:
    if not isinstance(one, tuple) or len(one) != 2:
        raise WrongValue(f"it gives {_words(one)}, not a key with its value")
    return one[0], one[1]


def _read_buckets(key: str, counts: Any) -> Iterator[Given]:
    if not isinstance(counts, Mapping):
        raise WrongValue(f"the counts of Buckets are {_words(counts)}, not a mapping")
    if len(counts) > MAX_GIVEN:
        raise _too_many()
    for bucket, count in counts.items():
        if isinstance(bucket, bool) or not isinstance(bucket, int) or not 0 <= bucket <= _LAST_BUCKET:
            raise WrongValue(f"{_words(bucket)} is no bucket from 0 to {_LAST_BUCKET}")
        bound = _thousandths(bucket)
        total = _whole(count) * bound
        if not 0 < total <= MAX_SUM:
            raise WrongValue(f"a bucket with {_words(count)} values is none, or too large")
        yield key, bucket, (count, total, bound)


def _whole(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not -MAX_NUMBER <= number <= MAX_NUMBER:
        raise WrongValue(f"{_words(number)} is no whole number, or has more than 12 digits")
    return int(number)


def _text(text: Any) -> str:
    if type(text) is str:
        return text
    if isinstance(text, str):
        # What it holds, whatever its class makes of it: that of an enumeration has other ideas.
        return str.__str__(text)
    raise WrongValue(f"{_words(text)} is no text")


def _clean(part: Any) -> str:
    text = part if type(part) is str else _text(part)
    if len(text) <= _SHORT and text.isprintable():
        return text
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_PART]).encode()[:MAX_PART_BYTES].decode(errors="ignore")


def _words(value: Any) -> str:
    """Returns words for a value of any size."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18:
        return f"{value}"
    return f"a {type(value).__name__}"


def _thawed(value: Any) -> Any:
    """Returns what JSON can be made of, where a plugin hands on an object of an event."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise TypeError(f"{_words(value)} is no JSON")


@lru_cache
def _thousandths(bucket: int) -> int:
    return round(upper_bound(bucket) * 1000)


_LAST_BUCKET = bucket_of(MAX_VALUE)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_thawed).encode
