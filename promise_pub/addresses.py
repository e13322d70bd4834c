"""Hosts and ports as text, and the types of addresses and networks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def join_host_port(host: str, port: int) -> str:
    """Returns `localhost:8000`, `127.0.0.1:8000` or `[::1]:8000`: an IPv6 address has colons of its own."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_url(host: str, port: int, *, tls: bool = False) -> str:
    return f"{'https' if tls else 'http'}://{join_host_port(host, port)}"


def network_of(address: Address | None) -> str:
    """Returns the key that a client counts under: for IPv6 its network, since one host has 2^64 addresses in it.

    It is empty for a client whose address is not known.
    """
    if address is None:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
