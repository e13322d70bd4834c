"""The backoffs of a run, one for each service that may fail."""

from __future__ import annotations

from dataclasses import dataclass

from promise_pub.retries import Backoff


@dataclass(frozen=True, slots=True)
class Backoffs:
    """One backoff for each thing that a run tries again."""

    broker: Backoff = Backoff(first=0.05, longest=3.0, within=120.0)
    """A connection that was lost. Most losses are over at once; a broker's restart takes ten to sixty seconds."""
    consumer: Backoff = Backoff(first=0.1, longest=2.0, within=10.0)
    """A call that may be repeated, to a consumer that restarts or over a network that stumbles."""
    database: Backoff = Backoff(first=0.5, longest=0.5, within=60.0)
    """A step that needs the database."""
    last_write: Backoff = Backoff(first=0.2, longest=15.0, within=3.0, jitter=0.0)
    """The record of how a run ended. Whoever waits for the run waits for the tries `within`; later ones go on unseen
    until the server stops."""


BACKOFFS = Backoffs()
