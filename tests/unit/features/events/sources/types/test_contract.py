"""Every type of promise-pub holds the contract of types of sources."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from promise_pub.features.events.sources.registry import BUILTIN, Registry
from promise_pub.features.events.sources.types.access_log import AccessLog
from promise_pub.features.events.sources.types.auth_log import AuthLog
from promise_pub.features.events.sources.types.bookmarks import BookmarksHtml, BookmarksJson
from promise_pub.features.events.sources.types.find import FindOutput
from promise_pub.features.events.sources.types.firefox import FirefoxBookmarks, FirefoxHistory
from promise_pub.features.events.sources.types.json_lines import JsonLines
from promise_pub.features.events.sources.types.postgresql_log import PostgresqlLog
from promise_pub.features.events.sources.types.rabbit_log import RabbitLog
from promise_pub.features.events.sources.types.session_log import SessionLog
from promise_pub.features.events.sources.types.table import Table
from promise_pub.features.events.sources.types.trac import TracTimeline
from promise_pub.features.events.sources.types.webkit import WebkitBookmarks, WebkitHistory
from promise_pub.features.events.sources.types.wtmp import Wtmp
from promise_pub.sources import Found
from tests.unit.features.events.sources.source_contract import SourceContract
from tests.unit.features.events.sources.types.databases import CHROME, FIREFOX

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
SECONDS = 1_795_161_600
SECOND = timedelta(seconds=1)
URL = "https://a.example/"


def made(tables: str, rows: str) -> bytes:
    """Returns the bytes of a database with these tables and rows, in pages that are as small as may be."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(f"PRAGMA page_size = 512; {tables} {rows}")
        return connection.serialize()


def test_every_type_is_held_and_can_be_loaded_by_its_name() -> None:
    held = {
        contract.source.name: contract.source
        for contract in SourceContract.__subclasses__()
        if contract.__module__ == __name__
    }

    assert held.keys() == BUILTIN.keys()
    assert Registry().load_all().types.items() >= held.items()


class TestAccessLog(SourceContract):
    source = AccessLog
    sample = (
        b'10.0.0.1 - - [20/Nov/2026:09:00:00 +0100] "GET /a HTTP/1.1" 200 -\n[notice] another\n'
        b'web:443 ::1 - ann [20/Nov/2026:09:00:01 +0100] "GET /b HTTP/1.1" 304 0 "-" "curl \\"8\\""\n'
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "GET /a 200", data={"method": "GET", "path": "/a", "protocol": "HTTP/1.1", "status": 200, "client": "10.0.0.1"}),
        Found(
            AT + SECOND, "GET /b 304", url="https://web/b", host="web", user="ann",
            data={"method": "GET", "path": "/b", "protocol": "HTTP/1.1", "status": 304, "bytes": 0, "client": "::1", "agent": 'curl "8"'},
        ),
    ]  # fmt: skip


class TestAuthLog(SourceContract):
    source = AuthLog
    modified = datetime(2027, 1, 1, 12, tzinfo=UTC)
    sample = (
        b"Nov 20 08:00:00 web login[7]: one\n two\nno record\nJan  1 08:00:00 web CRON[8]: x\nJan  1 08:00:01 web su: y"
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "login: one\n two", host="web", data={"process": "login", "pid": "7"}),
        Found(datetime(2027, 1, 1, 8, 0, 1, tzinfo=UTC), "su: y", host="web", data={"process": "su"}),
    ]


class TestBookmarksHtml(SourceContract):
    source = BookmarksHtml
    sample = (
        b"<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p><DT><H3>F</H3><DL><p>"
        b'<DT><A HREF="https://a.example/" ADD_DATE="1795161600" TAGS="x">A &amp; B</A><DD>said</DL></DL>'
    )
    expected: ClassVar = [
        Found(
            AT,
            "A & B",
            url=URL,
            tags=["x"],
            data={"folder": "F", "comment": "said"},
            identity=f"{SECONDS} {URL}".encode(),
        )
    ]


class TestBookmarksJson(SourceContract):
    source = BookmarksJson
    sample = b'{"children": [{"title": "F", "children": [{"uri": "https://a.example/", "dateAdded": 1795161600000000}]}, {}]}'
    rejected = 1
    expected: ClassVar = [
        Found(AT, URL, url=URL, tags=[], data={"folder": "F"}, identity=f"{SECONDS}000000 {URL}".encode())
    ]


class TestCsv(SourceContract):
    source = Table
    options: ClassVar = {"map": "at=when,id=n"}
    sample = b'when,text,n\n1795161600,"a\nb",1\nno time,c,2\n2026-11-20T09:00:01+01:00,"c ""d""",\n'
    rejected = 1
    expected: ClassVar = [Found(AT, "a\nb", identity=b"1"), Found(AT + SECOND, 'c "d"')]


class TestFind(SourceContract):
    source = FindOutput
    sample = b"1795161600.0000000000\t12\tann\tf\t./a\tb\nfind: no access\n1795161601.5\t0\tbob\td\t.\n"
    rejected = 1
    expected: ClassVar = [
        Found(AT, "./a\tb", user="ann", data={"size": 12, "type": "f"}),
        Found(AT + 1.5 * SECOND, ".", user="bob", data={"size": 0, "type": "d"}),
    ]


class TestFirefoxBookmarks(SourceContract):
    source = FirefoxBookmarks
    sample = made(
        FIREFOX,
        f"""INSERT INTO moz_places (id, url) VALUES (1, '{URL}');
        INSERT INTO moz_bookmarks (id, type, fk, parent, title, dateAdded, guid)
        VALUES (10, 2, NULL, 2, 'F', 1, 'f'), (11, 1, 1, 10, 'A', {SECONDS}000000, 'a'), (12, 1, 1, 10, 'B', NULL, 'b');""",
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "A", url=URL, tags=[], data={"folder": "menu/F"}, identity=f"{SECONDS}000000 {URL}".encode())
    ]


class TestFirefoxHistory(SourceContract):
    source = FirefoxHistory
    sample = made(
        FIREFOX,
        f"""INSERT INTO moz_places (id, url, title) VALUES (1, '{URL}', 'A');
        INSERT INTO moz_historyvisits (id, place_id, visit_date, visit_type)
        VALUES (1, 1, {SECONDS}000000, 2), (2, 9, {SECONDS}000000, 1);""",
    )
    rejected = 1
    expected: ClassVar = [Found(AT, "A", url=URL, data={"visit_type": 2}, identity=f"{SECONDS}000000 {URL}".encode())]


class TestJsonLines(SourceContract):
    source = JsonLines
    options: ClassVar = {"map": "text=message"}
    sample = (
        b'{"at": 1795161600, "message": "a", "n": [1, {"x": null}]}\n{\n\n{"at": "2026-11-20T08:00:01Z", "message": 5}'
    )
    rejected = 1
    expected: ClassVar = [Found(AT, "a", data={"n": [1, {"x": None}]}), Found(AT + SECOND, "5")]


class TestPostgresqlLog(SourceContract):
    source = PostgresqlLog
    sample = (
        b"2026-11-20 08:00:00.000 UTC [7] ann@db ERROR:  no\n2026-11-20 08:00:00.000 UTC [7] ann@db STATEMENT:  SELECT\n\t1\n"
        b"2026-11-20 08:00:01.000 UTC [8] LOG:  two\n"
    )
    expected: ClassVar = [
        Found(AT, "no", user="ann", data={"severity": "ERROR", "pid": 7, "database": "db", "statement": "SELECT\n1"}),
        Found(AT + SECOND, "two", data={"severity": "LOG", "pid": 8}),
    ]


class TestRabbitLog(SourceContract):
    source = RabbitLog
    sample = (
        b"2026-11-20 09:00:00.000000+01:00 [info] <0.1.0> one\n two\n"
        b"2026-11-20 09:00:01.000000+01:00 [error] <0.2.0> three"
    )
    expected: ClassVar = [
        Found(AT, "one\n two", data={"level": "info", "pid": "0.1.0"}),
        Found(AT + SECOND, "three", data={"level": "error", "pid": "0.2.0"}),
    ]


class TestSessionLog(SourceContract):
    source = SessionLog
    zone = "Europe/Zurich"
    sample = (
        b"aB: 11/20/26 09:00 ::: one\n  two\naB: 13/20/26 09:00 ::: x\n"
        b"# 2026-11-20T09:00:01+0100\t#c\t/tmp\t1\t2026-11-20T09:00:00+0100\t$$\tls"
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "one\n  two", data={"session": "aB"}),
        Found(AT, "ls", until=AT + SECOND, data={"session": "c", "path": "/tmp", "number": "1"}),
    ]


class TestTracTimeline(SourceContract):
    source = TracTimeline
    sample = (
        b'<div class="timeline"><h2>11/20/26: Today</h2><dl><dt class="wiki"><a href="/w"><span class="time">08:00</span> A page '
        b'by <span class="author">ann</span></a></dt><dd>said</dd><dt class="wiki"><a href="/x">no time</a></dt></dl></div>'
    )
    rejected = 1
    expected: ClassVar = [
        Found(
            AT, "A page by ann", url="/w", user="ann", data={"class": "wiki", "description": "said"},
            identity=b"11/20/26\n08:00\nwiki\n/w",
        )
    ]  # fmt: skip


class TestWebkitBookmarks(SourceContract):
    source = WebkitBookmarks
    sample = (
        b'{"roots": {"synced": {"children": [{"type": "folder", "name": "F", "children": ['
        b'{"type": "url", "name": "A", "url": "https://a.example/", "date_added": "13439635200000000"}, {}]}]}}}'
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "A", url=URL, data={"folder": "synced/F"}, identity=b"13439635200000000 https://a.example/")
    ]


class TestWebkitHistory(SourceContract):
    source = WebkitHistory
    sample = made(
        CHROME,
        f"""INSERT INTO urls (id, url, title) VALUES (1, '{URL}', 'A');
        INSERT INTO visits (id, url, visit_time, transition) VALUES (1, 1, 13439635200000000, 257), (2, 1, 0, 1);""",
    )
    rejected = 1
    expected: ClassVar = [
        Found(AT, "A", url=URL, data={"transition": 1}, identity=b"13439635200000000 https://a.example/")
    ]


def entry(type_: int, user: bytes) -> bytes:
    made = struct.pack("<h2xi32s4s32s256s2h3i16s20x", type_, 7, b"pts/0", b"ts/0", user, b"", 0, 0, 9, SECONDS, 0, b"")
    assert len(made) == 384
    return made


class TestWtmp(SourceContract):
    source = Wtmp
    sample = entry(7, b"ann") + bytes(384) + entry(12, b"") + entry(8, b"")
    rejected = 1
    expected: ClassVar = [
        Found(
            AT, "login of ann on pts/0", kind="login", user="ann",
            data={"type": "USER_PROCESS", "line": "pts/0", "pid": 7, "session": 9},
        ),
        Found(
            AT, "logout on pts/0", kind="logout",
            data={"type": "DEAD_PROCESS", "line": "pts/0", "pid": 7, "session": 9},
        ),
    ]  # fmt: skip
