"""Errors of usage."""

from __future__ import annotations

from promise_pub.errors import PromisePubError


class UsageZoneChanged(PromisePubError):
    """Days were condensed in another time zone than that of the configuration."""

    code = "usage_zone_changed"
