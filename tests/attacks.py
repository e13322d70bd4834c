"""Clients that mean no good: each attack is a habit that is kept up until it is cancelled.

The tests of faults and the benchmarks aim them at a server, from a process of their own: `python -m tests.attacks
URL TOKEN RUN`, with the token of a viewer and the id of a run, attacks in all ways at once until it is stopped, or in those
that are named behind. It then prints the statuses of the answers.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from yarl import URL

from promise_pub.resources import allow_many_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 6))  # of this machine; the server sees four clients
AGAIN = 5.0  # seconds before a client that was turned away comes again
BOMB = 256 * 1024 * 1024  # bytes that a megabyte inflates to
TABS = b'a\t"' + b"\t" * 200 + b'"\n'


@dataclass
class Target:
    """The server, the token of a viewer, and a run that goes. Counts what came back, by status."""

    url: URL
    token: str = ""
    run: str = ""
    answers: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    """Connections so far."""

    def head(self, method: str, path: str, *lines: str, known: bool = False) -> bytes:
        more = [*lines, f"Authorization: Bearer {self.token}"] if known else lines
        return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *more, "", "")).encode()

    @asynccontextmanager
    async def connection(self, number: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.url.port, local_addr=(ADDRESSES[number % len(ADDRESSES)], 0)
        )
        self.opened += 1
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def say(self, number: int, *pieces: bytes, every: float = 0.0) -> None:
        """Says the pieces, and reads what is said until the server ends it."""
        async with self.connection(number) as (reader, writer):
            dripping = asyncio.create_task(_drip(writer, pieces, every))
            try:
                first = await reader.readline()
                self.answers[first[9:12].decode(errors="replace") or "closed"] += 1
                while await reader.read(1 << 16):
                    pass
            finally:
                dripping.cancel()


async def _drip(writer: asyncio.StreamWriter, pieces: tuple[bytes, ...], every: float) -> None:
    with suppress(OSError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)


async def _crowd(count: int, habit: Callable[[int], Awaitable[None]], again: float = AGAIN) -> None:
    """Keeps so many clients at their habit; each comes again when it was turned away."""

    async def client(number: int) -> None:
        await asyncio.sleep(again * number / count)
        while True:
            with suppress(OSError, EOFError, ValueError):
                await habit(number)
            await asyncio.sleep(again)

    async with asyncio.TaskGroup() as crowd:
        for number in range(count):
            crowd.create_task(client(number))


FORM = "Content-Type: application/x-www-form-urlencoded"
CSV = "Content-Type: text/csv"


async def silence(target: Target) -> None:
    """2,000 connections that say nothing."""
    await _crowd(2000, target.say)


async def slow_headers(target: Target) -> None:
    """200 requests whose header does not end."""
    lines = [b"X-More: %d\r\n" % number for number in range(1000)]
    await _crowd(200, lambda n: target.say(n, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *lines, every=1.0))


async def slow_logins(target: Target) -> None:
    """1,010 logins whose form does not come."""
    head = target.head("POST", "/login", FORM, "Content-Length: 1000")
    await _crowd(1010, lambda n: target.say(n, head))


async def slow_uploads(target: Target) -> None:
    """100 uploads of a viewer, who may not upload, a byte a second."""
    head = target.head("POST", "/simulate/", CSV, "Content-Length: 100000", known=True)
    await _crowd(100, lambda n: target.say(n, head, *[b"x"] * 1000, every=1.0))


async def bombs(target: Target) -> None:
    """Eight clients who send what would inflate a thousandfold, to doors that are open and to some that are not."""
    bomb = await asyncio.to_thread(_bomb)
    heads = [
        target.head("POST", path, kind, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}", known=known)
        for path, kind, known in (("/simulate/", CSV, False), ("/login", FORM, False), ("/preview/", CSV, True))
    ]
    await _crowd(8, lambda n: target.say(n, heads[n % len(heads)], bomb))


def _bomb() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    zeros = bytes(1024 * 1024)
    return b"".join([*(packer.compress(zeros) for _ in range(BOMB // len(zeros))), packer.flush()])


async def floods(target: Target) -> None:
    """Four clients who send a body without end after they were refused."""
    head = target.head("POST", "/simulate/", CSV, "Content-Length: 1000000000")
    await _crowd(4, lambda n: target.say(n, head, *[bytes(65536)] * 10_000))


async def streams(target: Target) -> None:
    """500 streams of a viewer, each of the parts of the run's page."""
    head = target.head("GET", f"/runs/{target.run}/stream?format=html", known=True)
    await _crowd(500, lambda n: target.say(n, head))


async def hits(target: Target) -> None:
    """Four clients who ask for pages that are shown to anybody, each time as somebody else, with all there is to keep."""

    def head() -> bytes:
        made = [f"X-{n}: {secrets.token_hex(900)}" for n in range(3)]
        made += [f"User-Agent: {secrets.token_hex(900)}", f"Referer: http://x/{secrets.token_hex(900)}"]
        return target.head("GET", f"/login?x={secrets.token_hex(8)}", *made, "Connection: close")

    await _crowd(4, lambda n: target.say(n, head()), again=0.02)


async def guesses(target: Target) -> None:
    """Eight clients who try tokens, and cookies."""

    def head() -> bytes:
        bearer, cookie = (
            f"Authorization: Bearer ppub_{secrets.token_hex(20)}",
            f"Cookie: promise_pub_session={secrets.token_hex(20)}",
        )
        return target.head("GET", "/runs", "Connection: close", bearer if secrets.randbits(1) else cookie)

    await _crowd(8, lambda n: target.say(n, head()), again=0.02)


async def tables(target: Target) -> None:
    """Four clients of a viewer who ask for what takes long to make: rejected records full of tabs, as CSV."""
    head = target.head("GET", f"/runs/{target.run}/rejects?format=csv", "Connection: close", known=True)
    await _crowd(4, lambda n: target.say(n, head), again=0.2)


async def slow_readers(target: Target) -> None:
    """100 clients of a viewer who ask for a long page again and again, and read nothing."""

    async def habit(number: int) -> None:
        async with target.connection(number) as (_, writer):
            writer.write(target.head("GET", "/", known=True) * 50)
            await asyncio.sleep(20)

    await _crowd(100, habit)


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        silence,
        slow_headers,
        slow_logins,
        slow_uploads,
        bombs,
        floods,
        streams,
        hits,
        guesses,
        tables,
        slow_readers,
    )
}


async def _attack(target: Target, names: Sequence[str]) -> None:
    """Attacks in these ways, or in all, until it is told to stop."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as group:
        targets = {name: replace(target, answers=target.answers) for name in names or ATTACKS}
        attacks = [group.create_task(_named(each, name)) for name, each in targets.items()]
        while not all(each.opened for each in targets.values()):  # noqa: ASYNC110  eleven kinds of it
            await asyncio.sleep(0.1)
        print(f"attacking on {target.url}", flush=True)
        await stopped.wait()
        for attack in attacks:
            attack.cancel()
    opened = {name: each.opened for name, each in targets.items()}
    print(f"connections: {json.dumps(opened)}, answers: {json.dumps(target.answers)}", flush=True)


async def _named(target: Target, name: str) -> None:
    await ATTACKS[name](target)


if __name__ == "__main__":
    allow_many_files()
    url, its_token, its_run, *given = sys.argv[1:]
    asyncio.run(_attack(Target(URL(url), its_token, its_run), given))
