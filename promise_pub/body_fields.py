"""Fields in the body of a request: of a form, or the members of a JSON object. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from promise_pub.errors import BadParameter
from promise_pub.json_text import parse_json

FORM_TYPE, JSON_TYPE = "application/x-www-form-urlencoded", "application/json"


def read_fields(body: bytes, content_type: str, most: int) -> Sequence[tuple[str, Any]]:
    """Returns the fields of a form, as text, or the members of a JSON object, as they are; nothing has none.

    Raises BadParameter for anything else, and for a form of more than `most` fields.
    """
    if not body.strip():
        return []
    if content_type == FORM_TYPE:
        try:
            return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most, errors="strict")
        except ValueError:
            raise BadParameter(f"The form cannot be read: it is UTF-8, and has at most {most} fields.") from None
    if content_type != JSON_TYPE:
        raise BadParameter(f"The body must be a form ({FORM_TYPE}) or a JSON object ({JSON_TYPE}).")
    try:
        given = parse_json(body)
    except ValueError as error:
        raise BadParameter(f"The body is no JSON that can be used: {error}.") from None
    if not isinstance(given, dict):
        raise BadParameter("The body must be a JSON object.")
    return [*given.items()]
