"""Whatever loops over people's text, in time that grows no more than linearly with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from promise_pub import logs
from promise_pub.cli import junit
from promise_pub.delivery.consumer_client.answers import find_session, parse_session, quote
from promise_pub.delivery.evidence.ranges import RowRanges, shorten_ranges
from promise_pub.delivery.input.dialect import PLAIN, Dialect
from promise_pub.delivery.input.header import find_header
from promise_pub.delivery.input.reader import Reader
from promise_pub.delivery.input.signatures import fault_of
from promise_pub.delivery.input.uploads import clean_name
from promise_pub.errors import ConsumerComplaint, PromisePubError
from promise_pub.features.visits.hits import headers_as_json, storable_text
from promise_pub.features.visits.importing import read_hits
from promise_pub.features.visits.render.labels import label_of, shorten
from promise_pub.http.intake.client_address import Client, client_behind, parse_address
from promise_pub.http.negotiation import _by_preference
from promise_pub.json_text import dump_json, parse_json
from promise_pub.parameters.columns import parse_columns
from promise_pub.parameters.gate import MAX_TEXT, parse_gate
from promise_pub.parameters.rate_profile import parse_profile
from promise_pub.presentation.csv_cells import neutralise_cell
from promise_pub.presentation.text_size import fitted
from promise_pub.remote.rows import _lines
from promise_pub.remote.sse import EventReader
from promise_pub.spans import parse_since
from promise_pub.text import printable, unmasked
from tests.growth import MOST, assert_linear

NASTY = (
    "\t",
    " ",
    "\n",
    "\r",
    '"',
    '""',
    '"\n',
    "a\n",
    '"a"b\n',
    '",',
    "a,",
    "1,",
    "1-2,",
    "=",
    "\n=",
    ";q=1,",
    ";",
    "\\",
    "(",
    "[",
    '{"a":',
    "\x1b",
    "\u202e",
    "é",
    "=;",
    "1;",
)
HEADERS = 8_000  # characters of one header, which aiohttp bounds
TRUSTED = [ip_network("0.0.0.0/0"), ip_network("::/0")]
GARBLED = ConsumerComplaint("no")


def _refused(work: Callable[[str], object], text: str) -> None:
    """Does what may refuse the text."""
    try:
        work(text)
    except (PromisePubError, ValueError):
        return


def _parsed(width: int, text: str) -> None:
    reader = Reader(Dialect(width))
    data = text.encode()
    for at in range(0, len(data), 65_536):
        for _ in reader.batches(data[at : at + 65_536]):
            pass
    for _ in reader.batches(b"", last=True):
        pass


def _cookies(text: str) -> object:
    return make_mocked_request("GET", "/", headers={"Cookie": text.replace("\n", "").replace("\r", "")}).cookies


def _query(text: str) -> object:
    return make_mocked_request("GET", "/runs?" + text.encode("unicode_escape").decode().replace(" ", "+")).query


LOOPS: dict[str, tuple[Callable[[str], object], int]] = {
    "cells": (neutralise_cell, MOST),
    "printable text": (printable, MOST),
    "unmasked text": (unmasked, MOST),
    "names of files": (clean_name, MOST),
    "rows": (partial(_parsed, 2), MOST),
    "rows of one field": (partial(_parsed, 1), MOST),
    "records": (lambda text: PLAIN.judge(text.encode(), 1, 1), MOST),
    "headers": (lambda text: _refused(lambda one: find_header(one.encode(), PLAIN, whole=True), text), MOST),
    "signatures": (lambda text: fault_of(text.encode()), MOST),
    "ranges": (partial(_refused, RowRanges.parse), MOST),
    "shortened ranges": (shorten_ranges, MOST),
    "sessions": (lambda text: _refused(lambda one: parse_session(one, "/"), text), MOST),
    "sessions in an answer": (lambda text: find_session(text, GARBLED), MOST),
    "sessions' rows": (
        lambda text: _refused(lambda one: parse_session(json.dumps({"uuid": "u", "rows": one}), "/"), text),
        MOST,
    ),
    "quoted answers": (quote, MOST),
    "JSON": (partial(_refused, parse_json), MOST),
    "JSON that is written": (dump_json, MOST),
    "Accept": (_by_preference, HEADERS),
    "cookies": (_cookies, HEADERS),
    "queries": (partial(_refused, _query), HEADERS),
    "forwarded clients": (lambda text: client_behind(Client(ip_address("1.2.3.4"), 1), [text], TRUSTED), MOST),
    "addresses": (parse_address, MOST),
    "columns": (partial(_refused, parse_columns), MOST),
    "profiles": (partial(_refused, parse_profile), MOST),
    "gates": (partial(_refused, parse_gate), MAX_TEXT),
    "spans": (partial(_refused, lambda text: parse_since(text, datetime.now(UTC))), MOST),
    "labels": (label_of, MOST),
    "shortened labels": (lambda text: shorten(text, 40), MOST),
    "captions": (lambda text: fitted(text, 12, 300), MOST),
    "stored text": (storable_text, MOST),
    "stored headers": (lambda text: headers_as_json([(text, text), ("Accept", text)]), MOST),
    "JUnit": (junit._xml, MOST),
    "logs": (logs._escaped, MOST),
}


@pytest.mark.parametrize("name", LOOPS)
def test_it_is_linear(name: str) -> None:
    work, most = LOOPS[name]
    for body in NASTY:
        for before, after in (("", ""), ("a", "!"), ('"', "=")):
            # Bound now: the next text is another.
            def prepare(size: int, body: str = body, before: str = before, after: str = after) -> Callable[[], object]:
                return partial(work, before + body * (size // len(body)) + after)

            assert_linear(prepare, most, f"{name}: {before!r} + {body!r} * n + {after!r}")


@pytest.mark.parametrize("line", ["x\n", '"\n', '{"a":1}\n', "{}\n", "a,b\n", "[\n"])
def test_an_import_is_linear(tmp_path: Path, line: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        path = tmp_path / str(size)
        path.write_text("at,session_id,page\n" + line * (size // len(line)))
        return partial(_refused, lambda _: [*read_hits(path)], "")

    assert_linear(prepare, about=line)


PIECES = [
    pytest.param(b"x" * 64, id="no line end"),
    pytest.param(b"data: x\n", id="one event"),
    pytest.param(b"\n", id="blank lines"),
]
FURTHER = 4_000_000  # bytes; it is the copying that grows


@pytest.mark.parametrize("piece", PIECES)
def test_events_that_come_in_pieces_are_linear(piece: bytes) -> None:
    def prepare(size: int) -> Callable[[], object]:
        def work() -> None:
            reader = EventReader()
            for _ in range(size // len(piece)):
                reader.feed(piece)

        return work

    assert_linear(prepare, FURTHER if len(piece) == 64 else MOST)


@pytest.mark.parametrize("piece", PIECES)
def test_rows_that_come_in_pieces_are_linear(piece: bytes) -> None:
    async def read(count: int) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(count):
                yield piece

        async for _ in _lines(chunks()):
            pass

    def prepare(size: int) -> Any:
        return lambda: asyncio.run(read(size // len(piece)))

    assert_linear(prepare, FURTHER if len(piece) == 64 else MOST)
