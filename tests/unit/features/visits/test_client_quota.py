"""Hits of a client that are too many, and whose clients they are."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from promise_pub.addresses import Address
from promise_pub.features.visits import client_quota
from promise_pub.features.visits.client_quota import ALL_UNKNOWN, KNOWN, UNKNOWN, ClientQuota, Rate, TokenBuckets

ONE, OTHER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


class Clock:
    now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quota(clock: Clock) -> ClientQuota:
    return ClientQuota(clock)


def admitted(quota: ClientQuota, address: Address | None, tries: int, *, known: bool = False) -> int:
    return sum(quota.admit(address, known=known) for _ in range(tries))


@pytest.mark.parametrize("rate", [Rate(1, 0.1), Rate(7, 3), KNOWN, UNKNOWN, ALL_UNKNOWN], ids=str)
def test_a_bucket_gives_a_burst_and_then_what_comes_in(clock: Clock, rate: Rate) -> None:
    buckets = TokenBuckets(rate, clock)

    def take(tries: int) -> int:
        return sum(buckets.take("a") for _ in range(tries))

    assert take(rate.burst + 5) == rate.burst
    clock.now += 3.01 / rate.per_second
    assert take(rate.burst + 5) == min(3, rate.burst)
    clock.now += 10 * rate.burst / rate.per_second
    assert take(2 * rate.burst) == rate.burst, "it holds no more than a burst, however long it rests"


@pytest.mark.parametrize(("known", "burst"), [(True, KNOWN.burst), (False, UNKNOWN.burst)])
def test_each_client_has_its_own_quota_and_who_is_known_a_larger_one(
    quota: ClientQuota, known: bool, burst: int
) -> None:
    assert admitted(quota, ONE, burst + 10, known=known) == burst
    assert admitted(quota, OTHER, 10, known=known) == 10
    assert admitted(quota, None, 10, known=known) == 10


def test_who_has_used_up_the_quota_of_unknown_ones_is_recorded_after_the_login(quota: ClientQuota) -> None:
    admitted(quota, ONE, UNKNOWN.burst + 10)
    assert not quota.admit(ONE, known=False)
    assert quota.admit(ONE, known=True)


def test_a_network_of_ipv6_counts_as_one_client(quota: ClientQuota) -> None:
    addresses = [IPv6Address(f"2001:db8:0:1:{number:x}::1") for number in range(UNKNOWN.burst + 10)]
    assert sum(quota.admit(address, known=False) for address in addresses) == UNKNOWN.burst
    assert quota.admit(IPv6Address("2001:db8:0:2::1"), known=False)


def test_many_unknown_clients_have_a_quota_together_that_known_ones_do_not_feel(quota: ClientQuota) -> None:
    addresses = [IPv4Address(number) for number in range(2 * ALL_UNKNOWN.burst)]
    assert sum(quota.admit(address, known=False) for address in addresses) == ALL_UNKNOWN.burst
    assert all(quota.admit(address, known=True) for address in addresses[:100])


def test_an_office_that_logs_in_at_nine_is_recorded_whole(quota: ClientQuota) -> None:
    """Of 200 people each is sent to the form, sees it, and mistypes once, all within a minute."""
    assert admitted(quota, ONE, 200 * 3) == 600


def test_clients_are_remembered_in_bounded_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_quota, "MAX_CLIENTS", 3)
    buckets = TokenBuckets(Rate(1, 0.001), clock)
    assert [buckets.take(key) for key in "abcabc"] == [True] * 3 + [False] * 3
    assert buckets.take("d")
    assert [buckets.take(key) for key in "dcba"] == [False, False, False, True], (
        "the one not seen for longest starts anew"
    )
