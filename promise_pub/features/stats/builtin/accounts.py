"""Statistics about who came in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from promise_pub.statistics import Amount, Counting, Event


class Logins(Counting):
    """Logins by their outcome: done, or the code of the error."""

    name, columns, own = "logins", ("outcome",), True
    topics, intervals = ("#.account.login", "#.account.login_failed"), (timedelta(days=1),)

    def count(self, event: Event) -> Iterator[Amount]:
        if event.words[-1] == "login":
            yield Amount("done", 1)
        else:
            yield Amount(event.data["reason"], event.data["times"])
