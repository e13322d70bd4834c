"""The curl command that repeats a run: one argument a file name, whatever it holds, and every setting that was chosen."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from yarl import URL

from promise_pub.parameters import Mode, Parameters, parse_values
from promise_pub.parameters.gate import parse_gate
from promise_pub.presentation.curl import format_curl
from promise_pub.records import RunReport, StoredFile

HOSTILE = [
    "a b.csv",
    "it's.csv",
    '"quoted".csv',
    "a,b.csv",
    "a;type=text/html.csv",
    "a;filename=x.csv",
    "$(touch x).csv",
    "`touch x`.csv",
    "a' && touch x && '.csv",
    "<script>alert(1)</script>",
    "שלום \N{LEFT CURLY BRACKET}كوكب.csv",
    " leading and trailing ",
    "-",
    "-rf",
    "@at",
    "100%.csv",
    "*?[x]!#~",
]


def report(name: str = "data.csv", parameters: Parameters = Parameters()) -> RunReport:  # noqa: B008
    return RunReport("id", parameters, StoredFile(name, 1, "h"), datetime.now(UTC))


def test_a_run_of_the_usual_kind_takes_no_parameters() -> None:
    line = format_curl(report(), "http://localhost:8000", token=False)
    assert line == "curl -F input_file=@data.csv http://localhost:8000/simulate/"


def test_what_was_chosen_is_named() -> None:
    chosen = Parameters(mode=Mode.BATCH, timeout=0, clear=True, rate=50)
    line = format_curl(report(parameters=chosen), "http://[::1]:8000", token=False)
    address = "http://[::1]:8000/simulate/?mode=batch&timeout=0&clear=true&rate=50"
    assert shlex.split(line)[-1] == address


@pytest.mark.parametrize(
    "chosen",
    [
        Parameters(columns=("id", "Größe & Farbe"), delimiter="\t", encoding="cp1252"),
        Parameters(columns=("a,b", " c"), header=True, delimiter=";"),
        Parameters(profile=((1_000_000, 12345.678), (7, 0.5))),
        Parameters(fail_if=parse_gate("(saved < 99% * accepted) or (p99 > 50ms and rate + 1 != 2K)")),
    ],
)
def test_what_was_chosen_is_understood_as_it_was_meant(chosen: Parameters) -> None:
    line = format_curl(report(parameters=chosen), "http://localhost:8000", token=False)
    given = dict(URL(shlex.split(line)[-1]).query)
    known = chosen if not chosen.header else replace(chosen, columns=())  # the file has them
    assert Parameters(**parse_values(given)) == known


def test_with_users_the_shell_puts_the_token_in() -> None:
    line = format_curl(report(), "https://promise.example", token=True)
    assert shlex.split(line)[3:5] == ["-H", "Authorization: Bearer $TOKEN"]
    assert '"Authorization: Bearer $TOKEN"' in line, "in double quotes the shell replaces it"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_argument(name: str) -> None:
    words = shlex.split(format_curl(report(name), "http://localhost:8000", token=False))
    assert len(words) == 4 and words[2].startswith("input_file=@")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "C:\\secret\\passwd"])
def test_no_pasted_command_sends_a_file_from_elsewhere(name: str) -> None:
    assert "input_file=@passwd " in format_curl(report(name), "http://localhost:8000", token=False)


def test_a_lone_dash_is_not_curls_standard_input() -> None:
    assert "input_file=@./- " in format_curl(report("-"), "http://localhost:8000", token=False)


@pytest.mark.parametrize("name", ["/", "..", "a/..", "\\."])
def test_what_is_no_file_name_has_one_in_its_place(name: str) -> None:
    assert "input_file=@data.csv " in format_curl(report(name), "http://localhost:8000", token=False)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_shell_and_curl_take_the_name_for_that_file(name: str, tmp_path: Path) -> None:
    """curl opens the file before it finds nobody listening; what it cannot open has another exit status."""
    name = name.replace("/", "_")  # which no file has in its name
    (tmp_path / name).write_bytes(b"Ann,ann@x\n")
    line = format_curl(report(name), "http://127.0.0.1:9", token=False)
    ended = subprocess.run(["sh", "-c", line], cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert ended.returncode == 7
    assert [path.name for path in tmp_path.iterdir()] == [name]
