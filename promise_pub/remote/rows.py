"""The rows of a run as a server lists them, read while they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress

from promise_pub.errors import ServerAnswerError
from promise_pub.fates import count_in_need
from promise_pub.json_text import parse_json
from promise_pub.remote.answers import Json
from promise_pub.remote.client import RemoteServer

MAX_FIRST = 20  # rows of a fate that a report names
MAX_ROW_BYTES = 64 * 1024 * 1024
"""Bytes of one record in JSON: its content and its values, each of which a server limits."""


async def read_rows(
    server: RemoteServer, run_id: str, fates: Sequence[str] = (), text: str = "", most: int | None = None
) -> AsyncGenerator[Json, None]:
    """Yields the records of a run one by one, however many there are. Raises ServerAnswerError for what is no record."""
    async with aclosing(server.rows(run_id, "json", fates, text, most)) as chunks:
        async with aclosing(_lines(chunks)) as lines:
            async for line in lines:
                record = line.strip().rstrip(b",")
                # The array's brackets stand on lines of their own.
                if record not in (b"", b"[", b"]", b"[]"):
                    yield _parse(record)


async def await_fates(server: RemoteServer, run: Json) -> Json:
    """Returns a completed run once its server has listed its rows, which it does right after the verdict.

    Returns it as it is where the server is older, or does not list them.
    """
    if run["state"] != "completed" or run.get("fates", {}) is not None:
        return run
    with suppress(ServerAnswerError):
        # The answer waits for the list.
        async with aclosing(read_rows(server, run["id"], most=1)) as rows:
            await anext(rows, None)
        return await server.run(run["id"])
    return run


async def fetch_first_in_need(server: RemoteServer, run: Json) -> list[Json]:
    """Returns the first rows of each fate that needs somebody; none where the server has none, or does not tell."""
    found: list[Json] = []
    # The report of the run is worth more than its rows.
    with suppress(ServerAnswerError):
        for fate in count_in_need(run.get("fates")):
            async with aclosing(read_rows(server, run["id"], [fate.value], most=MAX_FIRST)) as rows:
                found.extend([row async for row in rows])
    return found


def _parse(record: bytes) -> Json:
    try:
        row = parse_json(record)
    except ValueError as error:
        raise ServerAnswerError(f"The server sent a row that is not JSON: {error}") from error
    if not isinstance(row, dict) or not {"line", "fate"} <= row.keys():
        raise ServerAnswerError("The server sent a row without a line and a fate")
    return row


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    rest = bytearray()
    async for chunk in chunks:
        first, *further = chunk.split(b"\n")
        rest += first
        for line in further:
            yield bytes(rest)
            rest = bytearray(line)
        if len(rest) > MAX_ROW_BYTES:
            raise ServerAnswerError(f"The server sent a row of more than {MAX_ROW_BYTES:,} bytes")
    yield bytes(rest)
