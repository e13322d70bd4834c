"""A quota of hits for each client, so that nobody fills the record of visits. Each server counts for itself."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from promise_pub.addresses import Address, network_of

MAX_CLIENTS = 10_000  # that are remembered, about 2 MB; beyond, those not seen for longest start anew


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` hits at once, and `per_second` further ones."""

    burst: int
    per_second: float


KNOWN = Rate(10_000, 10.0)  # from an address: a script that follows every link of a day is recorded
UNKNOWN = Rate(600, 1.0)  # from an address: an office of 200 that logs in at nine takes 3 each
ALL_UNKNOWN = Rate(6_000, 10.0)  # from all addresses together: whoever has many gains little by them


class TokenBuckets:
    """Token buckets by key, of which each holds the time at which it will be full again."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._interval = 1 / rate.per_second
        self._longest = rate.burst / rate.per_second
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> bool:
        """Takes a token, and returns False if there is none."""
        now = self._clock()
        full_at = max(now, self._full_at.get(key, now)) + self._interval
        # A token's worth may be off by rounding.
        if full_at - now > self._longest + self._interval / 2:
            return False
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > MAX_CLIENTS:
            self._full_at.popitem(last=False)
        return True


class ClientQuota:
    """The hits that may be recorded of a client, an address or for IPv6 its network, in bounded memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._known = TokenBuckets(KNOWN, clock)
        self._unknown = TokenBuckets(UNKNOWN, clock)
        self._all_unknown = TokenBuckets(ALL_UNKNOWN, clock)

    def admit(self, address: Address | None, *, known: bool) -> bool:
        """Counts a hit of a client, and returns False if it is one too many. More are admitted of who is `known`."""
        client = network_of(address)
        if known:
            return self._known.take(client)
        return self._unknown.take(client) and self._all_unknown.take("")
