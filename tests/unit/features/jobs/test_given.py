"""Arguments of a run: read from a form, from JSON and from the command line, within bounds."""

from __future__ import annotations

import pytest

from promise_pub.body_fields import FORM_TYPE, JSON_TYPE
from promise_pub.errors import BadParameter
from promise_pub.features.jobs.given import MAX_TEXT, collect_given, parse_body, parse_pair


def test_arguments_come_as_a_form_as_json_or_not_at_all() -> None:
    assert parse_body(b"start=2026-01-01&end=&reset=yes", FORM_TYPE) == {"start": "2026-01-01", "reset": "yes"}
    assert parse_body(b"a=%C3%A4+b", FORM_TYPE) == {"a": "ä b"}
    told = b'{"start": "2026-01-01", "reset": true, "end": null, "force": false}'
    assert parse_body(told, JSON_TYPE) == {"start": "2026-01-01", "reset": "yes"}
    assert parse_body(b"", "application/octet-stream") == {} == parse_body(b" \n", JSON_TYPE)


@pytest.mark.parametrize(
    ("body", "kind", "complaint"),
    [
        (b"start=1", "text/plain", "must be a form"),
        (b"start=1&start=2", FORM_TYPE, "start is given more than once"),
        (b"\xff=1", FORM_TYPE, "form cannot be read"),
        (b"a=%ff", FORM_TYPE, "form cannot be read"),
        (b"&".join(b"a%d=1" % n for n in range(60)), FORM_TYPE, "at most 50 fields"),
        (b"a=%00", FORM_TYPE, "a must be a text"),
        (b"[1]", JSON_TYPE, "must be a JSON object"),
        (b"{", JSON_TYPE, "no JSON"),
        (b'{"start": 1}', JSON_TYPE, "start must be a text"),
        (b'{"start": ["a"]}', JSON_TYPE, "start must be a text"),
        (b'{"start": "\\ud800"}', JSON_TYPE, "start must be a text"),
        (b'{"start": "%s"}' % (b"x" * (MAX_TEXT + 1)), JSON_TYPE, "at most 1,000 characters"),
        (b"{%s}" % b",".join(b'"a%d": "1"' % n for n in range(60)), JSON_TYPE, "At most 50 arguments"),
    ],
)
def test_other_bodies_are_refused(body: bytes, kind: str, complaint: str) -> None:
    with pytest.raises(BadParameter, match=complaint):
        parse_body(body, kind)


def test_pairs_of_the_command_line_are_read() -> None:
    assert collect_given(map(parse_pair, ("a=1", "b=", "c=d=e"))) == {"a": "1", "b": "", "c": "d=e"}
    for wrong in ("a", "=1", ""):
        with pytest.raises(BadParameter, match="NAME=VALUE"):
            parse_pair(wrong)
    with pytest.raises(BadParameter, match="more than once"):
        collect_given([("start", "1"), ("start", "1")])
