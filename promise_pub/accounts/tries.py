"""How many logins may fail: for a name, and from an address. Each server counts for itself."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from promise_pub.accounts.people import LONGEST_NAME
from promise_pub.errors import LoginFailed, PromisePubError, TooManyTries

log = logging.getLogger(__name__)

WINDOW = 15 * 60.0  # seconds for which a failed try counts
FOR_A_NAME = 10  # tries in that time: a person's typing errors, and 350,000 guesses a year
FROM_AN_ADDRESS = 50  # tries; several people may share one
MOST_KEPT = 10_000  # names, and addresses: a few MB. Beyond, those that failed longest ago are forgotten


class _Counter:
    """When tries failed, by key: the newest `limit` of each."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until this key may try again."""
        recent = self._recent(key)
        return recent[0] + WINDOW - self._clock() if len(recent) >= self._limit else 0.0

    def add(self, key: str) -> float:
        """Counts a try; gives what it takes to take it back."""
        moment = self._clock()
        self._failed[key] = [*self._recent(key), moment]
        self._failed.move_to_end(key)
        if len(self._failed) > MOST_KEPT:
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


class Tries:
    """Tries to log in. Memory is bounded, whatever names and addresses are tried."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = _Counter(FOR_A_NAME, clock)
        self._addresses = _Counter(FROM_AN_ADDRESS, clock)

    @contextmanager
    def one(self, name: str, address: str) -> Iterator[None]:
        """One try, in the block. It counts as failed from its start, so that many at once are no way around.

        Raises TooManyTries. A try that did not come to an answer, for want of a database, is taken back; one that
        succeeds makes the name's earlier failures forgotten, but not those of the address: who guesses may have
        an account as well.
        """
        name, address = name[: LONGEST_NAME + 1], _network(address)
        if wait := max(self._names.wait(name), self._addresses.wait(address)):
            log.warning("Login refused: too many failed, now from %s", address)
            raise TooManyTries(math.ceil(wait))
        by_name, by_address = self._names.add(name), self._addresses.add(address)
        try:
            yield
        except LoginFailed:
            raise
        except PromisePubError:
            self._names.take_back(name, by_name)
            self._addresses.take_back(address, by_address)
            raise
        self._names.forget(name)
        self._addresses.take_back(address, by_address)


def _network(text: str) -> str:
    """An IPv6 host has 2^64 addresses to try from: its network counts as one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text[:64]
    if address.version == 4 or address.ipv4_mapped:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
