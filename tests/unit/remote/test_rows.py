"""Rows of a run as a server sends them, whatever pieces they come in."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.errors import ServerAnswerError, ServerAway
from promise_pub.remote import rows as module
from promise_pub.remote.client import RemoteServer
from promise_pub.remote.rows import await_fates, fetch_first_in_need, read_rows

ROWS = [
    {"line": 1, "row": 1, "fate": "saved", "reason": "", "repeats_line": None, "content": "[\n],\u2028, é"},
    {"line": 2, "row": None, "fate": "rejected", "reason": "no", "repeats_line": None, "content": "]"},
]
ARRAY = ("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n]\n").encode()


class Server:
    """Sends these pieces, or raises; `now` is its run by then."""

    now: Any = None

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces
        self.asked: list[Any] = []

    async def rows(self, *asked: Any) -> AsyncGenerator[bytes, None]:
        self.asked.append(asked)
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def run(self, run_id: str) -> Any:
        return self.now


async def read(*pieces: bytes | Exception) -> list[Any]:
    return [row async for row in read_rows(cast(RemoteServer, Server(*pieces)), "run")]


@given(st.lists(st.integers(0, len(ARRAY)), max_size=8))
async def test_they_come_whole_from_any_pieces(cuts: Sequence[int]) -> None:
    places = [0, *sorted(cuts), len(ARRAY)]
    assert await read(*(ARRAY[a:b] for a, b in zip(places, places[1:], strict=False))) == ROWS


@pytest.mark.parametrize("nothing", [b"", b"[]\n", b"[]"])
async def test_there_may_be_none(nothing: bytes) -> None:
    assert await read(nothing) == []


@pytest.mark.parametrize(
    ("piece", "says"), [(b"<html>", "not JSON"), (b'"text"\n', "without a line"), (b'{"line": 1}\n', "without a line")]
)
async def test_what_is_no_row_is_refused(piece: bytes, says: str) -> None:
    with pytest.raises(ServerAnswerError, match=says):
        await read(piece)


async def test_a_row_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 100)
    with pytest.raises(ServerAnswerError, match="more than 100 bytes"):
        await read(b"a" * 60, b"a" * 60)


async def test_the_first_of_each_fate_are_asked_for_only_where_there_are_any() -> None:
    server = Server(ARRAY)
    remote = cast(RemoteServer, server)
    assert await fetch_first_in_need(remote, {"id": "run", "fates": {"saved": 9}}) == [] == server.asked
    fates = {"rejected": 3, "missing": 9, "unsaved": 0}
    assert await fetch_first_in_need(remote, {"id": "run", "fates": fates}) == ROWS + ROWS
    assert server.asked == [("run", "json", ["missing"], "", 20), ("run", "json", ["rejected"], "", 20)]


async def test_a_report_does_not_depend_on_them() -> None:
    remote = cast(RemoteServer, Server(ARRAY[:90], ServerAway("gone")))
    assert await fetch_first_in_need(remote, {"id": "run", "fates": {"missing": 9}}) == []


async def test_rows_are_waited_for_that_are_listed_after_the_verdict() -> None:
    server = Server(ARRAY)
    remote, server.now = cast(RemoteServer, server), {"id": "run", "fates": {"missing": 1}}
    assert await await_fates(remote, {"id": "run", "state": "completed", "fates": None}) == server.now
    assert server.asked == [("run", "json", (), "", 1)]


@pytest.mark.parametrize(
    "run",
    [
        {"id": "run", "state": "completed"},
        {"id": "run", "state": "completed", "fates": {}},
        {"id": "run", "state": "failed", "fates": None},
    ],
)
async def test_nothing_is_waited_for_that_does_not_come(run: Any) -> None:
    server = Server(ARRAY)
    assert await await_fates(cast(RemoteServer, server), run) is run and not server.asked


async def test_a_server_that_cannot_list_rows_has_a_report_all_the_same() -> None:
    run = {"id": "run", "state": "completed", "fates": None}
    assert await await_fates(cast(RemoteServer, Server(ServerAway("gone"))), run) is run
