"""Users, tokens and visitors: frozen values, and what they may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from promise_pub.errors import BadParameter

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
LONGEST_NAME = 63  # characters


class Role(StrEnum):
    """What somebody may do: look, or run, cancel, resume and clear as well."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever sends a request: a user who is logged in, or a script with a token."""

    name: str
    role: Role

    @property
    def may_operate(self) -> bool:
        return self.role is Role.OPERATOR


@dataclass(frozen=True, slots=True)
class User:
    """A user as it takes to log in. `generation` counts their passwords: a session is of one of them."""

    id: int
    name: str
    role: Role
    generation: int
    password: str = field(repr=False)
    """Its argon2 hash."""


class Account(NamedTuple):
    """A user or a token as it is listed; users do not expire."""

    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """The name for a new account. Raises BadParameter for one that could not be typed or told apart."""
    if not is_name(text):
        raise BadParameter(
            f"a name has 1 to {LONGEST_NAME} of a-z, 0-9 and . _ @ -, a letter or a digit first, unlike {text[:80]!r}"
        )
    return text
