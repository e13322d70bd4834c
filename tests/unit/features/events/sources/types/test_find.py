from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_pub.features.events.sources.types.find import FindOutput
from promise_pub.sources import Found
from tests.unit.features.events.sources.types.reading import check_every_cut, found_in, read_file, reasons_in

LINES = b"1764547200.1234567890\t12\tann\tf\t./a b.txt\n1764547201.0000000000\t4096\tbob\td\t./with\ttab\n"


def test_a_file_is_an_event_at_the_time_it_was_changed() -> None:
    assert found_in(FindOutput(), LINES) == [
        Found(datetime(2025, 12, 1, 0, 0, 0, 123456, UTC), "./a b.txt", user="ann", data={"size": 12, "type": "f"}),
        Found(datetime(2025, 12, 1, 0, 0, 1, tzinfo=UTC), "./with\ttab", user="bob", data={"size": 4096, "type": "d"}),
    ]


def test_names_with_line_ends_are_told_by_nul() -> None:
    content = b"1764547200.5\t0\tann\tf\t./two\nlines\0" + b"1764547201\t0\tann\tl\t./x\0"

    assert [one.text for one in found_in(FindOutput({"ends": "nul"}), content)] == ["./two\nlines", "./x"]
    with pytest.raises(ValueError, match="nul"):
        FindOutput({"ends": "crlf"})


def test_what_find_itself_prints_is_read(tmp_path: Path) -> None:
    (tmp_path / "a\tb\nc").write_bytes(b"123")
    os.utime(tmp_path / "a\tb\nc", ns=(0, 1_764_547_200_000_001_999))
    command = ["find", str(tmp_path), "-type", "f", "-printf", r"%T@\t%s\t%u\t%Y\t%p\0"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout

    (event,) = found_in(FindOutput({"ends": "nul"}), printed)
    assert (event.at, event.text) == (datetime(2025, 12, 1, 0, 0, 0, 1, UTC), f"{tmp_path}/a\tb\nc")
    assert event.data == {"size": 3, "type": "f"} and event.user


@pytest.mark.parametrize(
    "line",
    [
        b"1764547200\t12\tann\t./a",
        b"1764547200\t12\tann\tf\t",
        b"-5\t12\tann\tf\t./before-1970",
        b"0\t12\tann\tf\t./never",
        b"1.2.3\t12\tann\tf\t./a",
        b"9" * 41 + b"\t12\tann\tf\t./a",
        b"1764547200\t-1\tann\tf\t./a",
        b"1764547200\t" + b"9" * 5_000 + b"\tann\tf\t./a",
    ],
)
def test_a_line_that_is_no_such_file_costs_itself(line: bytes) -> None:
    assert len(reasons_in(FindOutput(), LINES + line + b"\n")) == 1


def test_a_list_that_is_cut_anywhere_is_accounted_for() -> None:
    check_every_cut(FindOutput, LINES)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1), st.integers(1, 2**47)
)
def test_every_name_and_time_comes_back(name: str, microseconds: int) -> None:
    at = f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}0000"
    (judged,) = read_file(FindOutput(), f"{at}\t1\tann\tf\t{name}\n".encode())

    assert isinstance(judged.outcome, Found)
    assert judged.outcome.text == name
    assert (judged.outcome.at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000 == pytest.approx(
        microseconds
    )
