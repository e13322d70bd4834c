"""`promise-pub verify`, whole: what it prints, its exit codes, and every report that proves nothing."""

from __future__ import annotations

import csv
import io
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from promise_pub.cli import main, verify
from promise_pub.delivery.evidence.blocks import Blocks
from promise_pub.delivery.evidence.digest import fingerprint, written
from promise_pub.presentation.report_json import encode_report
from promise_pub.presentation.run_json import encode_run
from promise_pub.records import Counts, StoredFile
from tests.run_parts import RUN, ended

CONTENT = b"Ann,ann@x\nBob,bob@x\n"
DIGEST = written(
    fingerprint(f"{RUN}:1".encode(), b'{"name": "Ann", "mail": "ann@x"}')
    + fingerprint(f"{RUN}:2".encode(), b'{"name": "Bob", "mail": "bob@x"}')
)
SENT = ended(
    file=StoredFile("data.csv", len(CONTENT), sha256(CONTENT).hexdigest()),
    counts=Counts(read=2, published=2, confirmed=2),
    digest=DIGEST,
)


class Place:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.report, self.file = folder / "report.json", folder / "data.csv"
        self.file.write_bytes(CONTENT)
        self.tell(encode_run(SENT))
        self._capsys = capsys

    def tell(self, report: Any) -> None:
        self.report.write_text(report if isinstance(report, str) else json.dumps(report))

    def verify(self, *options: str) -> tuple[int, str, str]:
        code = main(["verify", *options, str(self.report), str(self.file)])
        return (code, *self._capsys.readouterr())


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


def test_it_needs_no_configuration_and_no_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.file.parent)
    for name in [name for name in os.environ if name.startswith("PROMISE_PUB_")]:
        monkeypatch.delenv(name)
    code, told, complaint = place.verify()
    assert (code, complaint) == (0, "")
    assert told.splitlines() == [
        f"run             {RUN}",
        f"file            {place.file}",
        "bytes           20, as in the report",
        f"SHA-256         {sha256(CONTENT).hexdigest()}, as in the report",
        "rows read       2, as in the report",
        "rejected        0, as in the report",
        "accepted        2, as in the report",
        f"digest          {DIGEST}, as in the report",
        "equal           This is the file of that run, byte for byte, and its rows give the digest of the report.",
    ]
    assert place.verify("-q") == (0, "", "")


def test_another_file_is_exit_code_3_and_names_the_difference(place: Place) -> None:
    place.file.write_bytes(CONTENT.replace(b"Bob", b"B\x1bb"))
    code, told, _ = place.verify("-q")
    assert code == 3 and "report.json" in told
    place.tell(encode_report(SENT, Blocks(1, ["0" * 16, "1" * 16])))
    code, told, _ = place.verify()
    assert code == 3 and "row 1 on line 1" in told, "the report's hashes are believed, not ours"


def test_a_difference_cannot_drive_the_terminal(place: Place) -> None:
    place.file.write_bytes(CONTENT.replace(b"Bob", b"\x1b[2J"))
    place.tell(encode_report(SENT, Blocks(2, ["0" * 16])))
    assert "\x1b" not in place.verify()[1]
    assert "\x1b" not in place.verify("--format", "json")[1]


def test_json_and_csv_have_the_same_checks(place: Place) -> None:
    place.file.write_bytes(CONTENT + b"Cid,cid@x\n")
    code, told, _ = place.verify("--format", "json")
    outcome = json.loads(told)
    assert code == 3 and outcome["equal"] is False and outcome["run"] == RUN
    assert [(one["name"], one["equal"]) for one in outcome["checks"]] == [
        ("bytes", False), ("sha256", False), ("read", False), ("rejected", True), ("accepted", False), ("digest", False),
    ]  # fmt: skip
    table = [*csv.reader(io.StringIO(place.verify("--format", "csv")[1]))]
    assert table == [
        ["name", "report", "file", "equal"],
        *([str(one[key]) for key in ("name", "report", "file", "equal")] for one in outcome["checks"]),
    ]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in encode_run(SENT).items() if key != name}


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("no json", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("9" * 10_000, "it is no JSON"),
        ("\xff", "it is no JSON"),
        ("7", "it is no report of a run"),
        ([encode_run(SENT)], "it is a list: the report of one run is needed"),
        ({"code": "run_not_found"}, "it is no report of a run"),
        (without("file"), "it is no report of a run"),
        (without("state"), "it is no report of a run, or one of a newer version"),
        (encode_run(SENT) | {"state": "pondering"}, "or one of a newer version"),
        (encode_run(SENT) | {"digest": None}, "it has no digest of rows"),
        (encode_run(SENT) | {"state": "draining"}, "the run was draining when it was made"),
        (encode_run(SENT) | {"digest": "5e"}, "cannot be those of one"),
        (encode_run(SENT) | {"digest": 7}, "cannot be those of one"),
        (encode_run(SENT) | {"columns": [1, 2]}, "cannot be those of one"),
        (encode_run(SENT) | {"columns": []}, "cannot be those of one"),
        (encode_run(SENT) | {"id": "../../etc"}, "its id is no UUID"),
        (encode_run(SENT) | {"encoding": "ebcdic"}, "the encoding 'ebcdic', which this version does not know"),
        (encode_run(SENT) | {"delimiter": "::"}, "the delimiter '::'"),
        (encode_run(SENT) | {"blocks": {"format": 2}}, "its hashes of records are of a newer version"),
        (encode_run(SENT) | {"blocks": {"size": 0, "hashes": []}}, "no hashes of records"),
        (encode_run(SENT) | {"blocks": {"size": 1, "hashes": ["x"]}}, "no hashes of records"),
        (encode_run(SENT) | {"blocks": {"size": 1, "hashes": [1]}}, "no hashes of records"),
        (encode_run(SENT) | {"blocks": {"size": 1, "hashes": ["0" * 16] * 5000}}, "no hashes of records"),
        (encode_run(SENT) | {"blocks": [1]}, "no hashes of records"),
    ],
)
def test_a_report_that_proves_nothing_is_a_wrong_argument(place: Place, report: Any, said: str) -> None:
    place.tell(report)
    code, told, complaint = place.verify()
    assert (code, told) == (2, "")
    assert complaint.startswith(f"promise-pub: {place.report} cannot be used: ") and said in complaint


def test_keys_of_a_newer_version_are_ignored(place: Place) -> None:
    place.tell(encode_run(SENT) | {"mood": "good", "findings": [{"kind": "new", "verdict": "kept", "rows": None}]})
    assert place.verify()[0] == 0


def test_a_huge_report_is_not_read(place: Place) -> None:
    with place.report.open("wb") as file:
        file.truncate(1 << 30)
    code, _, complaint = place.verify()
    assert code == 2 and f"larger than {verify.MAX_REPORT:,} bytes" in complaint


def test_files_that_are_none_are_wrong_arguments(place: Place) -> None:
    place.file.unlink()
    assert place.verify()[::2] == (2, f"promise-pub: there is no file {place.file}\n")
    place.file.mkdir()
    assert place.verify()[::2] == (2, f"promise-pub: {place.file} is no file\n")
    place.report.unlink()
    assert place.verify()[::2] == (2, f"promise-pub: {place.report} cannot be used: there is no such file\n")
    place.report.mkdir()
    assert place.verify()[::2] == (2, f"promise-pub: {place.report} cannot be used: it is no file\n")


def test_a_file_that_cannot_be_read_is_an_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *arguments: Any) -> Any:
        if path == place.file:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuse)
    code, _, complaint = place.verify()
    assert code == 1 and f"{place.file} cannot be read" in complaint and "Permission denied" in complaint
