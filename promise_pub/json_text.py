"""JSON: read from whoever wrote it, and written for whoever may look at it. Pure.

What others send is bounded in depth and in digits, so that nothing that is made of it fails later on: neither its
decoding nor its text.
"""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

from promise_pub.text import unmasked_json

MAX_NESTING = 64  # arrays and objects within each other; an answer has five
MAX_DIGITS = 100  # of a whole number; a float holds three times as many

_CONTAINERS = (dict, list)


def parse_json(text: str | bytes | bytearray) -> Any:
    """Returns the value of JSON. Raises ValueError for anything else, for NaN and numbers too large, and for deep nesting."""
    if not isinstance(text, str):
        text = text.decode(json.detect_encoding(text))
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MAX_NESTING:
        _check_nesting(value)
    return value


def freeze_json(value: Any) -> Any:
    """Returns the value so that nobody can change it: objects as read-only mappings, arrays as tuples."""
    if isinstance(value, dict):
        frozen = {**value}
        for name, part in value.items():
            # Most parts are neither, and stay as they are.
            if isinstance(part, _CONTAINERS):
                frozen[name] = freeze_json(part)
        return MappingProxyType(frozen)
    return tuple(map(freeze_json, value)) if isinstance(value, list) else value


def dump_json(value: object, indent: int | None = None) -> str:
    """Returns JSON that is not escaped to ASCII, but shows characters that drive a terminal or turn the direction of writing."""
    return unmasked_json(_encode(value) if indent is None else json.dumps(value, ensure_ascii=False, indent=indent))


def _check_nesting(value: object) -> None:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [part for one in level for part in _parts(one) if isinstance(part, dict | list)]
        if not level:
            return
    raise _too_deep()


def _parts(value: object) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MAX_NESTING} deep")


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:50]} is no number that can be used")
    return number


# Made once: `json.dumps` makes one each time that it does not escape to ASCII.
_encode = json.JSONEncoder(ensure_ascii=False).encode
_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_finite)
