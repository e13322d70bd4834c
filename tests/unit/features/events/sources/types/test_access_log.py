from __future__ import annotations

from datetime import UTC, datetime

import apachelogs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.types.access_log import AccessLog
from promise_pub.sources import Found
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, read_file, reasons_in

COMMON = b'10.0.0.1 - - [20/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 -\n'
COMBINED = b'::1 - ann lee [20/Nov/2026:09:00:01 +0100] "POST /a?b=c HTTP/2.0" 201 12 "http://x/" "curl/8"\n'
WITH_HOST = b'web.example:8080 ::1 - - [20/Nov/2026:09:00:01 +0100] "GET /x HTTP/1.1" 304 0 "-" "-"\n'
FORMATS = (apachelogs.COMMON, apachelogs.COMBINED, apachelogs.VHOST_COMBINED)


def test_each_of_the_forms_is_a_request_also_in_one_file() -> None:
    at = datetime(2026, 11, 20, 8, 0, 1, tzinfo=UTC)

    assert found_in(AccessLog(), COMMON + COMBINED + WITH_HOST) == [
        Found(
            datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
            "GET / 200",
            data={"method": "GET", "path": "/", "protocol": "HTTP/1.1", "status": 200, "client": "10.0.0.1"},
        ),
        Found(
            at,
            "POST /a?b=c 201",
            user="ann lee",
            data={
                "method": "POST",
                "path": "/a?b=c",
                "protocol": "HTTP/2.0",
                "status": 201,
                "bytes": 12,
                "client": "::1",
                "referer": "http://x/",
                "agent": "curl/8",
            },
        ),
        Found(
            at,
            "GET /x 304",
            url="http://web.example:8080/x",
            host="web.example",
            data={
                "method": "GET",
                "path": "/x",
                "protocol": "HTTP/1.1",
                "status": 304,
                "bytes": 0,
                "client": "::1",
            },
        ),
    ]


@pytest.mark.parametrize(
    ("port", "url"), [(b"80", "http://web/x"), (b"443", "https://web/x"), (b"8443", "http://web:8443/x")]
)
def test_the_url_has_the_port_of_the_host(port: bytes, url: str) -> None:
    (event,) = found_in(AccessLog(), WITH_HOST.replace(b"web.example:8080", b"web:" + port))

    assert event.url == url


@pytest.mark.parametrize(
    ("request_line", "text"),
    [
        (b"GET /", "GET / 400"),
        (b"-", "400"),
        (b"", "400"),
        (rb"\x16\x03\x01 \"quoted\" back\\slash\ttab", '\x16\x03\x01 "quoted" back\\slash\ttab 400'),
        (rb"GET /Z\xc3\xbcrich HTTP/1.1", "GET /Zürich 400"),
        ("GET /Zürich HTTP/1.1".encode(), "GET /Zürich 400"),
    ],
)
def test_a_request_is_as_it_was_before_the_server_escaped_it(request_line: bytes, text: str) -> None:
    line = b'h - - [20/Nov/2026:09:00:00 +0100] "' + request_line + b'" 400 0\n'

    assert [one.text for one in found_in(AccessLog(), line)] == [text]


@pytest.mark.parametrize(
    "line",
    [
        b'h - - [31/Apr/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/MMM/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/0000:09:00:00 +0100] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/1969:09:00:00 +0100] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/2026:25:00:00 +0100] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/2026:09:00:00 +9999] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/2026:09:00:00] "GET / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/2026:09:00:00 +0100] "GET " / HTTP/1.1" 200 0\n',
        b'h - - [20/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" ok 0\n',
        b'h - - [20/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 ' + b"9" * 5_000 + b"\n",
        b"[notice] a line of another log\n",
    ],
)
def test_a_line_that_is_no_request_costs_itself(line: bytes) -> None:
    assert len(reasons_in(AccessLog(), COMMON + line + COMBINED)) == 1


def test_a_log_that_is_cut_anywhere_is_accounted_for() -> None:
    check_every_cut(AccessLog, COMMON + COMBINED + WITH_HOST)


@pytest.mark.parametrize(("log_format", "line"), [*zip(FORMATS, (COMMON, COMBINED, WITH_HOST), strict=True)])
def test_a_format_that_is_told_gives_the_events_of_the_form(log_format: str, line: bytes) -> None:
    assert found_in(AccessLog({"log_format": log_format}), line) == found_in(AccessLog(), line)


def test_any_format_of_apache_is_read() -> None:
    source = AccessLog({"log_format": "%{%s}t %v %m %U%q %s %D"})

    assert found_in(source, b"1764547200 web GET /a?b=c 404 1500\n") == [
        Found(
            datetime(2025, 12, 1, tzinfo=UTC),
            "GET /a?b=c 404",
            url="http://web/a?b=c",
            host="web",
            data={"method": "GET", "path": "/a?b=c", "status": 404},
        )
    ]


def test_a_line_in_another_format_or_without_a_time_costs_itself() -> None:
    assert len(reasons_in(AccessLog({"log_format": apachelogs.COMMON}), COMMON + COMBINED)) == 1
    assert reasons_in(AccessLog({"log_format": "%{%s}t %m"}), b"1 GET\n- GET\n") != []


@pytest.mark.parametrize("log_format", ["%Q", "%{x", "%{a}t %{b}Q"])
def test_a_format_that_is_none_is_refused(log_format: str) -> None:
    with pytest.raises(ValueError, match="log_format"):
        AccessLog({"log_format": log_format})


WORDS = st.text(st.sampled_from("aZ09.-_/é"), min_size=1, max_size=8)
QUOTED = st.text(st.sampled_from('aZ 0/\\"\t\né'), max_size=12)


@given(WORDS, WORDS, QUOTED, QUOTED, QUOTED, st.integers(100, 999), st.none() | st.integers(0, 10**12))
def test_the_forms_are_read_as_apachelogs_reads_them(
    client: str, user: str, request: str, referer: str, agent: str, status: int, size: int | None
) -> None:
    quoted = [
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
        for text in (request, referer, agent)
    ]
    line = '{} - {} [20/Nov/2026:09:00:00 +0100] "{}" {} {} "{}" "{}"'.format(
        client, user, quoted[0], status, "-" if size is None else size, *quoted[1:]
    ).encode()
    ours, theirs = (
        read_file(source, line)[0].outcome for source in (AccessLog(), AccessLog({"log_format": apachelogs.COMBINED}))
    )

    assert isinstance(ours, Found) and ours == theirs
