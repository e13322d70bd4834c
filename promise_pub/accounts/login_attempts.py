"""Limits on failed logins, for a name and from an address. Each server counts for itself.

Anybody can use up the attempts of a name. So that they lock nobody out, the places where a name logged in before, in
the memory of this server, have attempts of their own.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from promise_pub.accounts.people import MAX_NAME
from promise_pub.errors import LoginFailed, PromisePubError, TooManyTries

log = logging.getLogger(__name__)

WINDOW = 15 * 60.0  # seconds for which a failed attempt counts
MAX_FOR_NAME = 10  # attempts in that time: room for typing errors, and 350,000 guesses a year
MAX_PLACES = 5  # addresses that a name logged in from last: with all of them, 60 attempts for a name in that time
MAX_FROM_ADDRESS = 50  # attempts; several people may share an address
MAX_KEPT = 10_000  # names, and addresses: a few MB. Beyond, those that failed longest ago are forgotten


class _Counter:
    """Times of the last `limit` failed attempts of each key."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Returns the seconds until this key may try again."""
        recent = self._recent(key)
        return recent[0] + WINDOW - self._clock() if len(recent) >= self._limit else 0.0

    def add(self, key: str) -> float:
        """Counts an attempt, and returns its time, by which it can be taken back."""
        moment = self._clock()
        self._failed[key] = [*self._recent(key), moment]
        self._failed.move_to_end(key)
        if len(self._failed) > MAX_KEPT:
            self._failed.popitem(last=False)
        return moment

    def take_back(self, key: str, moment: float) -> None:
        if moment in (recent := self._recent(key)):
            recent.remove(moment)
        self._failed[key] = recent
        if not recent:
            del self._failed[key]

    def forget(self, key: str) -> None:
        self._failed.pop(key, None)

    def _recent(self, key: str) -> list[float]:
        since = self._clock() - WINDOW
        return [moment for moment in self._failed.get(key, ()) if moment > since]


class _KnownPlaces:
    """The addresses from which each name logged in last, MAX_PLACES for one name."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, list[str]] = OrderedDict()

    def has(self, name: str, address: str) -> bool:
        return address in self._of.get(name, ())

    def add(self, name: str, address: str) -> None:
        others = [one for one in self._of.get(name, ()) if one != address]
        self._of[name] = [*others, address][-MAX_PLACES:]
        self._of.move_to_end(name)
        if len(self._of) > MAX_KEPT:
            self._of.popitem(last=False)


class LoginAttempts:
    """The failed logins of all names and addresses, counted in bounded memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = _Counter(MAX_FOR_NAME, clock)
        self._names_at_places = _Counter(MAX_FOR_NAME, clock)
        self._addresses = _Counter(MAX_FROM_ADDRESS, clock)
        self._places = _KnownPlaces()

    @contextmanager
    def count(self, name: str, address: str) -> Iterator[None]:
        """Counts the block as one attempt. Raises TooManyTries when the name or the address has used up its attempts.

        An attempt counts as failed from its start, so that many at once do not evade the limit. It is taken back when
        it ends without an answer, for want of a database. A successful one clears the failures that it was counted
        with, those of the name there or elsewhere, but not those of the address: an attacker may have an account as
        well.
        """
        name, address = name[: MAX_NAME + 1], _network(address)
        known = self._places.has(name, address)
        names, key = (self._names_at_places, f"{name} {address}") if known else (self._names, name)
        if wait := max(names.wait(key), self._addresses.wait(address)):
            log.warning("Login refused: too many failed, now from %s", address)
            raise TooManyTries(math.ceil(wait))
        by_name, by_address = names.add(key), self._addresses.add(address)
        try:
            yield
        except LoginFailed:
            raise
        except PromisePubError:
            names.take_back(key, by_name)
            self._addresses.take_back(address, by_address)
            raise
        names.forget(key)
        self._places.add(name, address)
        self._addresses.take_back(address, by_address)


def _network(text: str) -> str:
    """Returns the key that an address counts under: for IPv6 its network, since one host has 2^64 addresses in it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text[:64]
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
