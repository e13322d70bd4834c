"""The key that a client counts under."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from promise_pub.addresses import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_client_counts_by_its_address_and_within_ipv6_by_its_network(address: str, network: str) -> None:
    assert network_of(ip_address(address)) == network


def test_clients_without_an_address_count_as_one() -> None:
    assert network_of(None) == ""
