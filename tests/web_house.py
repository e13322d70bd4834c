"""The whole application among fakes, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
from aiohttp import web
from aiohttp.test_utils import TestClient

from promise_pub.delivery.input.uploads import Uploads
from promise_pub.delivery.queue.runs import Runs
from promise_pub.http.features import OpenFeature
from promise_pub.web.docs import page
from promise_pub.web.server import Services, make_app
from tests.fakes import FakeBroker, FakeConsumer, FakeLedger

Client = TestClient[web.Request, web.Application]
JSON = {"Accept": "application/json"}
CSV = JSON | {"Content-Type": "text/csv"}


class House:
    """The application among fakes, and a client for it."""

    def __init__(self, folder: Path) -> None:
        self.broker = FakeBroker()
        self.ledger = FakeLedger()
        self.consumer = FakeConsumer(self.broker, self.ledger)
        self.uploads = Uploads(folder, limit=1000, keep_days=30)
        self.uploads.prepare()
        self.runs = Runs(self.ledger, self.consumer, self.broker.open_publisher, self.uploads, 2)
        self.probes: dict[str, Any] = {}
        self.client: Client

    def app(self, *features: OpenFeature, **services: Any) -> web.Application:
        """The application; `services` are others than a house has."""
        own: dict[str, Any] = {"runs": self.runs, "ledger": self.ledger, "probes": self.probes}
        return make_app(Services(**own | services), features)

    async def simulate(self, query: str = "?mode=batch", **headers: str) -> Any:
        return await self.client.post(f"/simulate/{query}", data=b"a,b\nbad\n", headers=CSV | headers)


@asynccontextmanager
async def opened(folder: Path, aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> AsyncIterator[House]:
    """A house that is lived in; `aiohttp_client` is pytest-aiohttp's fixture."""
    made = House(folder)
    async with made.runs:
        made.client = await aiohttp_client(made.app())
        yield made


def check_described(client: Client, name: str, told: Any) -> None:
    """Holds what a server told against the schema of this name in the description of its API."""
    assert client.server
    described = client.server.app[page.DESCRIPTION]  # type: ignore[attr-defined]
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": described["components"],
        "unevaluatedProperties": False,
    }
    jsonschema.validate(told, schema, jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker())
