"""The section `[jobs]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from promise_pub.settings import casts
from promise_pub.settings.model import option


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSettings:
    """Settings of jobs. Unless they are enabled this server runs none: others may. Runs are kept for `keep` days."""

    enabled: bool = option(casts.flag, True)
    keep: int = option(casts.whole(1, 36_500), 90)
