"""What is shown meanwhile: lines where nobody looks, a picture on a terminal, nothing when told to be quiet."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from promise_pub.cli import display
from promise_pub.cli.display import LINE_EVERY, LineDisplay, LiveDisplay, open_display
from promise_pub.presentation.run_json import decode_run, encode_run
from promise_pub.records import State
from tests.run_parts import ended, report
from tests.unit.cli.test_picture import drawn


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_has_a_line_for_each_change_of_state_and_one_now_and_then() -> None:
    said: list[str] = []
    clock = Clock()
    lines = LineDisplay(said.append, clock)
    lines.uploading("data.csv", 2048)
    lines.uploaded(1024)
    clock.now += LINE_EVERY
    lines.uploaded(512)
    for state in (State.QUEUED, State.PUBLISHING, State.PUBLISHING):
        lines.show(report(state=state))
    clock.now += LINE_EVERY - 1
    lines.show(report())
    clock.now += 1
    lines.show(report())
    lines.show(ended())
    assert [text.partition(":")[0] for text in said] == [
        "Uploading data.csv",
        "Uploaded 1.5 KB of 2.0 KB",
        "Waiting for its turn",
        "Publishing",
        "Publishing",
        "Completed",
    ]


def test_a_log_tells_of_trouble_once_and_that_it_is_over() -> None:
    said: list[str] = []
    lines = LineDisplay(said.append, Clock())
    for text in ("refused", "refused", "", "", "reset"):
        lines.trouble(text)
    assert said == ["refused", "The server answers again", "reset"]


def test_a_picture_goes_from_the_upload_to_the_run_and_has_the_trouble_in_it() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, _environ={})
    with LiveDisplay(console, keep=False) as picture:
        assert picture.rendered() == ""
        picture.uploading("[b]ig.csv", 100)
        picture.uploaded(50)
        assert "50%" in drawn(picture.rendered(), 60) and "[b]ig.csv" in drawn(picture.rendered(), 60)
        picture.show(report())
        assert "Publishing" in drawn(picture.rendered(), 60)
        picture.trouble("refused")
        assert drawn(picture.rendered(), 60).endswith("refused\n")
        picture.trouble("")
        assert "refused" not in drawn(picture.rendered(), 60)


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_report_replaces_is_taken_away(keep: bool) -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, _environ={})
    with LiveDisplay(console, keep=keep) as picture:
        picture.show(ended())
    written = console.file.getvalue()  # type: ignore[attr-defined]
    erased = written.rpartition("the promise is kept")[2].count("\x1b[2K")
    assert erased == (0 if keep else 8)


def test_where_stderr_is_no_terminal_there_are_lines_even_with_colour_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with open_display(quiet=False) as shown:
        shown.show(report())
    assert capsys.readouterr().err.startswith("Publishing: read 50,002")
    with open_display(quiet=True) as silent:
        silent.uploading("x", 1)
        silent.show(report())
        silent.trouble("x")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    dumb = Console(stderr=True, force_terminal=True, _environ={"TERM": "dumb"})
    monkeypatch.setattr(display, "err", dumb)
    with open_display(quiet=False) as shown:
        shown.show(decode_run(encode_run(report())))
    assert capsys.readouterr().err.startswith("Publishing: read 50,002")
