"""The sections `[journal]` and `[bus]` of the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass

from promise_pub.settings import casts
from promise_pub.settings.model import option

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
MAX_NAME = 255  # bytes of a name or a routing key in AMQP
MAX_CATEGORY = 127  # the place of the last word that a topic of 255 bytes can have
MAX_PREFIX = 100  # characters; the topics of events come after it


def amqp_name(value: str) -> str:
    """Casts to the name of an exchange or a queue. The broker keeps those that begin with amq. for itself."""
    if not value or len(value.encode(errors="replace")) > MAX_NAME or not value.isprintable():
        raise ValueError(f"must be a name of 1 to {MAX_NAME} bytes, not {value[:50]!r}")
    if value.startswith("amq."):
        raise ValueError("must not begin with amq., which the broker keeps for itself")
    return value


def binding_keys(value: str) -> str:
    """Casts to patterns of topics, separated by blanks."""
    keys = value.split()
    if not keys or any(len(key.encode(errors="replace")) > MAX_NAME or not key.isprintable() for key in keys):
        raise ValueError(f"must be routing keys of 1 to {MAX_NAME} bytes, separated by spaces")
    return " ".join(keys)


def topic_prefix(value: str) -> str:
    """Casts to words with dots between them, which no pattern takes for wildcards."""
    if not _PREFIX.fullmatch(value) or len(value) > MAX_PREFIX:
        raise ValueError(f"must be words of letters, digits, - and _ with dots between them, not {value[:50]!r}")
    return value


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
    `prefix` and a dot. `category` is the place of the word of a topic that is its category, from 0.
    """

    enabled: bool = option(casts.flag, False)
    exchange: str = option(amqp_name, "promise-pub.events")
    queue: str = option(amqp_name, "promise-pub.journal")
    bindings: str = option(binding_keys, "#")
    declare: bool = option(casts.flag, True)
    publish: bool = option(casts.flag, True)
    prefix: str = option(topic_prefix, "promise-pub")
    category: int = option(casts.whole(0, MAX_CATEGORY), 1)
