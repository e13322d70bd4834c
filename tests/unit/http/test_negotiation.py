"""The format of an answer: what is asked for, else what the client itself speaks."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from promise_pub.http.negotiation import HTML, JSON, PLAIN, SVG, accepted_format, negotiate_format


@pytest.mark.parametrize(
    ("path", "headers", "wanted"),
    [
        ("/", {}, HTML),
        ("/", {"Accept": "*/*"}, HTML),
        ("/", {"Accept": "*/*", "Content-Type": "application/json"}, JSON),
        ("/", {"Accept": "text/html", "Content-Type": "application/json"}, HTML),
        ("/", {"Accept": "application/json;q=0.5, text/html;q=0.4"}, JSON),
        ("/?format=html", {"Accept": "application/json"}, HTML),
        ("/", {"Accept": "*/*", "Content-Type": "multipart/form-data; boundary=x"}, HTML),
    ],
)
def test_the_format_is_the_one_that_the_client_wants(path: str, headers: dict[str, str], wanted: str) -> None:
    assert negotiate_format(make_mocked_request("POST", path, headers)) == wanted


@pytest.mark.parametrize(("accept", "wanted"), [("image/svg+xml", SVG), ("text/plain", PLAIN), ("text/csv", HTML)])
def test_a_format_is_accepted_where_it_is_available(accept: str, wanted: str) -> None:
    request = make_mocked_request("GET", "/?format=csv", {"Accept": accept})
    assert accepted_format(request, (HTML, SVG, PLAIN)) == wanted
