"""Arguments of a run as people give them: fields of a form, members of a JSON object, NAME=VALUE. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from promise_pub.errors import BadParameter
from promise_pub.json_text import parse_json
from promise_pub.text import storable

MAX_GIVEN = 50  # arguments
MAX_TEXT = 1000  # characters of a value
FORM_TYPE, JSON_TYPE = "application/x-www-form-urlencoded", "application/json"


def parse_body(body: bytes, content_type: str) -> dict[str, str]:
    """Reads a form or a JSON object; an empty body gives no argument. Raises BadParameter."""
    if not body.strip():
        return {}
    if content_type == JSON_TYPE:
        return parse_object(body)
    if content_type == FORM_TYPE:
        return parse_form(body)
    raise BadParameter(f"Arguments are sent as a form ({FORM_TYPE}) or as a JSON object ({JSON_TYPE}).")


def parse_form(body: bytes) -> dict[str, str]:
    """Reads the fields of a form; those that were left empty are not given. Raises BadParameter."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_GIVEN, errors="strict")
    except ValueError:
        raise BadParameter(f"The body is no form of at most {MAX_GIVEN} fields.") from None
    return {name: text for name, text in collect_given(pairs).items() if text}


def parse_object(body: bytes) -> dict[str, str]:
    """Reads an object of texts; true is a flag that is given, false and null are none. Raises BadParameter."""
    try:
        given = parse_json(body)
    except ValueError as error:
        raise BadParameter(f"The body is no JSON that can be used: {error}.") from None
    if not isinstance(given, dict):
        raise BadParameter("The body must be an object of arguments by their names.")
    for name, value in given.items():
        if not isinstance(value, str | bool | None):
            raise BadParameter(f"{name[:50]} must be a text, or true for a flag.")
    texts = ((name, "yes" if value is True else value) for name, value in given.items())
    return collect_given((name, text) for name, text in texts if isinstance(text, str))


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
