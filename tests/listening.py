"""The application among fakes, listening as it does for real: with its limits, its access log, its raw answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from promise_pub.accounts.authentication import Authenticator
from promise_pub.http.intake.limits import Limits
from promise_pub.http.intake.listener import listen
from promise_pub.http.security import resolve_exposure
from promise_pub.settings.model import ServerSettings
from promise_pub.web.server import Services, make_app
from tests.web_house import House

PATIENCE = 15.0  # seconds after which a test has failed; less than the limits that a server has by itself


class Site(NamedTuple):
    house: House
    app: web.Application
    url: URL
    http: aiohttp.ClientSession

    async def raw(self, text: bytes = b"", *, until: bytes = b"") -> Raw:
        """A connection of its own, on which this was said; all that came back by the time it has this in it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.url.port, limit=1 << 16)
        raw = Raw(reader, writer)
        writer.write(text)
        if until:
            await raw.until(until)
        return raw

    async def figures(self, **headers: str) -> dict[tuple[str, ...], float]:
        """The metrics, each by its name and the values of its labels."""
        async with self.http.get(self.url / "metrics", headers=headers) as answer:
            assert answer.status == 200
            return figures_of(await answer.text())


def figures_of(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Raw(NamedTuple):
    """A connection as bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, text: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        """What comes until the server closes it, or cuts it off."""
        got = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self.reader.read(65536):
                    got += piece
            except ConnectionError:
                pass
        return got

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


@asynccontextmanager
async def site(
    folder: Path, *, authenticator: Authenticator | None = None, probes: Mapping[str, Any] | None = None, **set: Any
) -> AsyncIterator[Site]:
    """It, with these options of `[server]` set; runs are taken up."""
    settings = ServerSettings(port=0, **set)
    house = House(folder)
    house.probes.update(probes or {})
    services = Services(
        runs=house.runs,
        ledger=house.ledger,  # type: ignore[arg-type]
        probes=house.probes,
        exposure=await resolve_exposure(settings),
        authenticator=authenticator,
        limits=Limits.of(settings),
    )
    app = make_app(services)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(house.runs)
        url = URL(await listen(stack, app, settings))
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        stack.push_async_callback(house.runs.stop)
        yield Site(house, app, url, http)
