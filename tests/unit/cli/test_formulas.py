"""Tables to download hold no cell that a spreadsheet would execute."""

from __future__ import annotations

import csv
import io

import pytest

from promise_pub.http.responses import as_csv
from promise_pub.terminal import print_csv


def cell(value: str) -> str:
    text = as_csv(["head"], [[value]], "x.csv").text
    return next(csv.reader(io.StringIO((text or "").partition("\r\n")[2], newline="")))[0]


@pytest.mark.parametrize("sign", "=+-@＝＋－＠﹦﹢﹣﹫")
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n", "\xa0", "\u3000", "\ufeff", "\u200b ", "\0"])
def test_what_begins_like_a_formula_is_text(before: str, sign: str) -> None:
    assert cell(f"{before}{sign}cmd()").startswith("'")


@pytest.mark.parametrize("between", ["x;", "x\t", "x;  ", "x\n"])
def test_neither_does_one_begin_after_what_a_spreadsheet_takes_for_a_separator(
    between: str,
) -> None:
    told = cell(f"{between}=cmd()")
    assert "=" not in told.replace("'  =", "").replace("'=", "")


@pytest.mark.parametrize("value", ["", "Ann", "a-b@c", "1=2", "'=x", "a, =b", "x;y", "5 - 3"])
def test_everything_else_stays_as_it_is(value: str) -> None:
    assert cell(value) == value


def test_neither_does_what_a_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(["user_agent", "hits"], ["=cmd|' /C calc'!A0", -5], ["Mozilla/5.0", None])
    rows = [*csv.reader(io.StringIO(capsys.readouterr().out, newline=""))]
    assert rows == [["user_agent", "hits"], ["'=cmd|' /C calc'!A0", "-5"], ["Mozilla/5.0", ""]]
