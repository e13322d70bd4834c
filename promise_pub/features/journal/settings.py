"""The sections `[journal]` and `[bus]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from promise_pub.settings import casts
from promise_pub.settings.model import option


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Settings of the journal. Events are kept for `keep` days. Unless it is enabled, promise-pub tells nothing of itself."""

    enabled: bool = option(casts.flag, True)
    keep: int = option(casts.whole(1, 36_500), 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """Settings of the bus: a topic exchange at the broker of `[rabbit]`.

    `bindings` are the routing keys that are taken from it, separated by blanks. With `declare` exchange, queue and
    bindings are made; without it they must be there. With `publish` promise-pub's own events go to it, their topics after
    `prefix` and a dot.
    """

    enabled: bool = option(casts.flag, False)
    exchange: str = option(casts.text, "promise-pub.events")
    queue: str = option(casts.text, "promise-pub.journal")
    bindings: str = option(casts.text, "#")
    declare: bool = option(casts.flag, True)
    publish: bool = option(casts.flag, True)
    prefix: str = option(casts.text, "promise-pub")
