"""The frozen value by which a feature joins the application: what it declares, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client.registry import Collector

from promise_pub.db_checks import Need
from promise_pub.http.insets import Inset, Place
from promise_pub.http.keys import NavItem
from promise_pub.http.problem_catalog import Entry, Kind
from promise_pub.jobs import Job
from promise_pub.settings.model import Sections, Settings
from promise_pub.terminal import CommandParsers


class Servers(Protocol):
    """The servers on one database. `server` is the name of this one."""

    server: int

    async def is_dead(self, server: int | None) -> bool:
        """Returns True when the server of this name is gone; it cannot come back under it. Raises a DatabaseError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The server that a feature is opened in.

    `settings` are the whole configuration. `busy` tells whether a run goes, which has the right of way. `jobs` are those of
    the server itself and of all features.
    """

    pool: asyncpg.Pool
    settings: Settings
    servers: Servers
    busy: Callable[[], bool]
    jobs: Sequence[Job] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFeature:
    """A feature with its services: `values` by the keys that its handlers look them up by.

    `messages` describe what it publishes: `channels`, `operations`, `messages` and `schemas` of AsyncAPI, by their names.
    """

    feature: Feature
    values: Mapping[web.AppKey[Any], Any] = field(default_factory=dict)
    collectors: Sequence[Collector] = ()
    messages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A room beside the heart. The application adds it by one line; deleting it is deleting its folder and that line.

    `folder` has its `templates/`, found as `{name}/…`, and its `static/`, served under `/static/{name}/`; each is
    optional. `sections` are the dataclasses of its sections of the configuration. `open` gets the server around it. `needs` lists the
    rights that this takes. `jobs` are what it does by the clock. `reads_outbox` tells whether it takes events from the
    outbox: while nobody does, none are put there. `with_local_broker` are options, by section, that
    `serve --local` sets where it starts a broker. `middlewares` see every request before errors are rendered.
    `operations` describe its routes by (method, path), `schemas` what these refer to, `tags` the groups that they are
    listed in. `errors` are the catalogue's entries of its own errors. `insets` are parts of
    pages of others.
    """

    name: str
    folder: Path
    open: Callable[[Surroundings], AbstractAsyncContextManager[OpenFeature]]
    sections: Sections = field(default_factory=dict)
    needs: Callable[[Settings], Sequence[Need]] = lambda _: ()
    jobs: Callable[[asyncpg.Pool, Settings], Sequence[Job]] = lambda *_: ()
    with_local_broker: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reads_outbox: Callable[[Settings], bool] = lambda _: False
    routes: Sequence[web.AbstractRouteDef] = ()
    middlewares: Sequence[Middleware] = ()
    operations: Mapping[tuple[str, str], Callable[[], dict[str, Any]]] = field(default_factory=dict)
    schemas: Callable[[], Mapping[str, dict[str, Any]]] = dict
    tags: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[Kind, Entry] = field(default_factory=dict)
    nav: Sequence[NavItem] = ()
    insets: Mapping[Place, Inset] = field(default_factory=dict)
    add_commands: Callable[[CommandParsers], None] | None = None
