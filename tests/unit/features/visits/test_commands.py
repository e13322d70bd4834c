"""How transitions come onto a terminal."""

from __future__ import annotations

import sys

import pytest

from promise_pub.features.visits.commands import _print
from promise_pub.features.visits.report import Transitions
from tests.visits.walks import walked


@pytest.mark.parametrize("kind", ["xterm", "dumb", "unknown"])
@pytest.mark.parametrize("columns", [40, 100])
def test_a_drawing_is_as_wide_as_the_terminal_whatever_that_calls_itself(
    kind: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    long = f"/{'x' * 200}"
    _print(Transitions(walked(f"{long} {long} exit")))
    drawing = capsys.readouterr().out.partition("hits in")[0]
    assert max(map(len, drawing.splitlines())) == columns
