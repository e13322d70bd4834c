"""Users, tokens and principals: frozen values, and the rules of their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from promise_pub.errors import BadParameter

MAX_NAME = 63  # characters
_NAME = re.compile(rf"[a-z0-9][a-z0-9._@-]{{0,{MAX_NAME - 1}}}")


class Role(StrEnum):
    """Rights of an account: a viewer sees everything; an operator also sends, cancels, resumes and clears."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated sender of a request: a user who is logged in, or the owner of a token."""

    name: str
    role: Role

    @property
    def may_operate(self) -> bool:
        return self.role is Role.OPERATOR


@dataclass(frozen=True, slots=True)
class User:
    """A user with the hash of their password. `generation` counts their passwords: a session belongs to one of them."""

    id: int
    name: str
    role: Role
    generation: int
    password: str = field(repr=False)


class Account(NamedTuple):
    """A user or a token in a list. Users do not expire."""

    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """Returns the name for a new account. Raises BadParameter for one that is hard to type or to tell from others."""
    if not is_name(text):
        raise BadParameter(
            f"A name must have 1 to {MAX_NAME} characters of a-z, 0-9 and . _ @ -, the first a letter or a digit, "
            f"not {text[:80]!r}."
        )
    return text
