"""A host and a port as people and programs write them, whatever kind of address it is."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def place(host: str, port: int) -> str:
    """`localhost:8000`, `127.0.0.1:8000`, `[::1]:8000`: an IPv6 address has colons of its own."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(host: str, port: int, *, tls: bool = False) -> str:
    return f"{'https' if tls else 'http'}://{place(host, port)}"
