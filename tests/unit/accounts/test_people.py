"""Names of accounts."""

from __future__ import annotations

import pytest

from promise_pub.accounts.people import checked_name
from promise_pub.errors import (
    BadParameter,
)


@pytest.mark.parametrize("name", ["", "Ann", "ann lee", "-ann", "a" * 64, "änn", "ann\n", "a\0"])
def test_a_name_nobody_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadParameter):
        checked_name(name)
    assert checked_name("ann.lee@example.com") == "ann.lee@example.com"
