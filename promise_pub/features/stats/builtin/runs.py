"""Statistics about how runs end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from promise_pub.statistics import Counting, Event, Latest

_ENDED = ("#.run.ended",)
_NO_VERDICT = "none"


class Runs(Counting):
    """Runs that ended, by state, verdict and mode; one that is resumed ends again."""

    name, columns = "runs", ("state", "verdict", "mode")
    topics, own, intervals = _ENDED, True, (timedelta(hours=1), timedelta(days=1))

    def count(self, event: Event) -> Iterator[tuple[str, str, str]]:
        yield event.data["state"], event.data["verdict"] or _NO_VERDICT, event.data["mode"]


class RunErrors(Counting):
    """Runs that ended with an error, by its code."""

    name, columns = "run-errors", ("code",)
    topics, own, intervals = _ENDED, True, (timedelta(hours=1), timedelta(days=1))

    def count(self, event: Event) -> Iterator[str]:
        if event.data["error"]:
            yield event.data["error"]


class Files(Counting):
    """Verdicts by the name of the file: one that is both kept and broken is flaky."""

    name, columns = "files", ("file", "verdict")
    topics, own, intervals = _ENDED, True, (timedelta(days=1),)

    def count(self, event: Event) -> Iterator[tuple[str, str]]:
        yield event.data["file"]["name"], event.data["verdict"] or _NO_VERDICT


class LatestRuns(Latest):
    """The newest run of each file and mode that ended."""

    name, columns, topics, own = "latest-runs", ("file", "mode"), _ENDED, True

    def entry(self, event: Event) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        value = {part: event.data[part] for part in ("run", "state", "verdict", "error")}
        yield (event.data["file"]["name"], event.data["mode"]), value
