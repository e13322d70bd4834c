"""Access logs of web servers: Apache's common and combined forms, with a virtual host or without, and its other formats."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from promise_pub.features.events.sources.clocks import MONTHS
from promise_pub.sources import Found, Given, Lines, NoRecord

_QUOTED = rb'"(?P<{name}>(?:[^"\\]|\\.)*)"'
_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"b": b"\b"}
_PORTS = {None: "http://{}", "80": "http://{}", "443": "https://{}"}


def _quoted(name: bytes) -> bytes:
    return _QUOTED.replace(b"{name}", name)


class AccessLog(Lines):
    """Requests to a web server, a line each. A file may mix the common, the combined and the form with a virtual host."""

    name = "http.access"
    kind = "request"
    reads = "access logs of Apache, nginx and others: common, combined, vhost_combined"
    knows = {"log_format": "Apache's LogFormat of the file, with %t and %r or %m and %U"}
    record = re.compile(rb".*", re.DOTALL)

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        super().__init__(options or {})
        log_format = (options or {}).get("log_format")
        self._parser = _parser_of(log_format) if log_format else None
        self._remembered: tuple[bytes, datetime] | None = None

    def event(self, record: re.Match[bytes], given: Given) -> Found:
        if self._parser:
            return _parsed(self._parser, record[0], given)
        found = _FORMS.fullmatch(record[0])
        if found is None:
            raise NoRecord("it is neither in the common nor in the combined form")
        texts = {name: _text(raw, given) for name, raw in found.groupdict().items() if name != "at"}
        return _request(self._moment(found["at"], given), texts)

    def _moment(self, raw: bytes, given: Given) -> datetime:
        # Many requests come in a second: the one before mostly has the same time.
        if self._remembered is None or self._remembered[0] != raw:
            self._remembered = raw, _moment(given.text(raw), given)
        return self._remembered[1]


_FORMS = re.compile(
    rb"(?:(?P<vhost>[^\s:]+):(?P<port>[0-9]{1,5}) )?"
    rb"(?P<client>\S+) (?P<logname>\S+) (?P<user>[^\[]+) \[(?P<at>[^\]]{26})\] "
    + _quoted(b"request")
    + rb" (?P<status>[0-9]{3}|-) (?P<size>[0-9]{1,18}|-)(?: "
    + _quoted(b"referer")
    + rb" "
    + _quoted(b"agent")
    + rb")?",
    re.DOTALL,
)
_REQUEST = re.compile(r"(\S+) (\S+) ((?:HTTP/\S+)?)")
_TIME = re.compile(r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9:]{8}) ([+-][0-9]{4})")


def _text(raw: bytes | None, given: Given) -> str | None:
    """Returns a field as it was before the server escaped it; None for one that it left empty."""
    if raw is None or raw == b"-":
        return None
    if b"\\" in raw:
        raw = _ESCAPED.sub(_unescaped, raw)
    return given.text(raw)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] else _CONTROLS.get(found[2], found[2])


def _moment(text: str, given: Given) -> datetime:
    found = _TIME.fullmatch(text)
    month = MONTHS.get(found[2]) if found else None
    if found is None or month is None:
        raise NoRecord("it has no time as in 20/Nov/2026:09:00:00 +0100")
    return given.moment(f"{found[3]}-{month:02}-{found[1]}T{found[4]}{found[5]}")


def _request(at: datetime, texts: Mapping[str, str | None]) -> Found:
    request = texts["request"] or ""
    method, target, protocol = found.groups() if (found := _REQUEST.fullmatch(request)) else ("", "", "")
    status, size, vhost, port = texts["status"], texts["size"], texts["vhost"], texts["port"]
    data: dict[str, Any] = {
        "method": method,
        "path": target,
        "protocol": protocol,
        "status": int(status) if status else None,
        "bytes": int(size) if size else None,
        **{name: texts[name] for name in ("client", "referer", "agent")},
    }
    return Found(
        at=at,
        text=" ".join(part for part in ((f"{method} {target}" if method else request), status) if part),
        url=_url(vhost, port, target) if vhost and target.startswith("/") else None,
        host=vhost,
        user=texts["user"],
        data={name: value for name, value in data.items() if value not in (None, "")},
    )


def _url(host: str, port: str | None, target: str) -> str:
    return _PORTS.get(port, f"http://{{}}:{port}").format(host) + target


def _parser_of(log_format: str) -> Any:
    # It takes a while to load, and few need it.
    from apachelogs import InvalidDirectiveError, LogParser, UnknownDirectiveError

    try:
        parser = LogParser(log_format, encoding="bytes")
    except (InvalidDirectiveError, UnknownDirectiveError) as error:
        raise ValueError(f"log_format: {error}") from None
    return parser


def _parsed(parser: Any, line: bytes, given: Given) -> Found:
    from apachelogs import InvalidEntryError

    try:
        # It takes other bytes only as Apache writes them, which other servers do not.
        entry = parser.parse(line.decode("ascii", "backslashreplace"))
    except InvalidEntryError:
        raise NoRecord("it is not in the format that log_format tells") from None
    if not isinstance(entry.request_time, datetime):
        raise NoRecord("it has no time")
    at = given.moment(entry.request_time.isoformat())
    texts = {name: _first(entry, attributes, given) for name, attributes in _ATTRIBUTES.items()}
    if texts["request"] is None and texts["method"]:
        target = f"{texts['target'] or ''}{texts['query'] or ''}"
        texts["request"] = f"{texts['method']} {target} {texts['protocol'] or ''}"
    headers = getattr(entry, "headers_in", {})
    referer, agent = (_told(headers.get(header), given) for header in ("Referer", "User-Agent"))
    return _request(at, {**texts, "referer": referer, "agent": agent})


_ATTRIBUTES = {
    "vhost": ("virtual_host", "server_name"),
    "port": ("server_port",),
    "client": ("remote_host", "remote_address", "remote_client_address"),
    "user": ("remote_user",),
    "request": ("request_line",),
    "method": ("request_method",),
    "target": ("request_uri",),
    "query": ("request_query",),
    "protocol": ("request_protocol",),
    "status": ("final_status", "original_status", "status"),
    "size": ("bytes_sent", "bytes_out"),
}


def _first(entry: Any, attributes: Sequence[str], given: Given) -> str | None:
    values = (getattr(entry, attribute, None) for attribute in attributes)
    return _told(next((value for value in values if value is not None), None), given)


def _told(value: object, given: Given) -> str | None:
    if value is None or value == b"-":
        return None
    return given.text(value) if isinstance(value, bytes) else str(value)
