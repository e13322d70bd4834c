"""Arguments of a run as people give them: fields of a form, members of a JSON object, NAME=VALUE. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from promise_pub.body_fields import read_fields
from promise_pub.errors import BadParameter
from promise_pub.text import storable

MAX_GIVEN = 50  # arguments
MAX_TEXT = 1000  # characters of a value


def parse_body(body: bytes, content_type: str) -> dict[str, str]:
    """Reads a form or a JSON object, where true is a flag that is given; what is empty, false or null is not given. Raises
    BadParameter."""
    texts = []
    for name, value in read_fields(body, content_type, MAX_GIVEN):
        if not isinstance(value, str | bool | None):
            raise BadParameter(f"{name[:50]} must be a text, or true for a flag.")
        texts.append((name, "yes" if value is True else value or ""))
    return {name: text for name, text in collect_given(texts).items() if text}


def parse_pair(text: str) -> tuple[str, str]:
    """Reads NAME=VALUE. Raises BadParameter."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise BadParameter(f"--set takes NAME=VALUE, not {text[:50]!r}.")
    return name, value


def collect_given(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Raises BadParameter for an argument that is given twice, too many of them, and one too long or not storable."""
    given: dict[str, str] = {}
    for name, text in pairs:
        if name in given:
            raise BadParameter(f"{name[:50]} is given more than once.")
        if len(text) > MAX_TEXT or storable(text) != text:
            raise BadParameter(f"{name[:50]} must be a text of at most {MAX_TEXT:,} characters.")
        given[name] = text
    if len(given) > MAX_GIVEN:
        raise BadParameter(f"At most {MAX_GIVEN} arguments can be given.")
    return given
