"""Configuration files as text: every fault of their form with its line, and no secret in any complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from promise_pub.errors import ConfigurationError
from promise_pub.settings import inifile, model
from tests.settings_parts import COMPLETE, SECRET, load, problems


@pytest.mark.parametrize("mark", ["=", ":", " = ", "  =  "])
def test_an_empty_password_is_a_password_and_percent_signs_are_plain(tmp_path: Path, mark: str) -> None:
    text = COMPLETE.replace(" = ", mark)
    assert load(tmp_path, text.format(password="")).database.password == ""
    assert load(tmp_path, text.format(password="%(host)s%%")).database.password == "%(host)s%%"


BROKEN_WITH_SECRET = {
    "no equals sign": f"[rabbit]\nhost = x\npassword {SECRET.replace('=', '')}\n",
    "the equals sign in the password": f"[rabbit]\npassword {SECRET}\n",
    "before any section": f"password = {SECRET}\n",
    "indented under a number": f"[rabbit]\nport = 5672\n  password = {SECRET}\n",
    "indented under a path": f"[rabbit]\nca_certificate = /x\n  password = {SECRET}\n",
    "indented under an unknown option": f"[rabbit]\nprot = 5672\n  password = {SECRET}\n",
    "set twice": f"[rabbit]\npassword = {SECRET}\npassword = {SECRET}\n",
    "twice without an equals sign before it": f"[rabbit]\na {SECRET}\na {SECRET}\n",
    "under an unknown section": f"[rabit]\npassword = {SECRET}\n",
    "as an unknown option": f"[rabbit]\npasword = {SECRET}\n",
    "not UTF-8": f"[rabbit]\npassword = {SECRET}\xe9\n".encode("latin-1"),
    "in an unclosed section": f"[rabbit\npassword = {SECRET}\n",
}


@pytest.mark.parametrize("text", BROKEN_WITH_SECRET.values(), ids=BROKEN_WITH_SECRET)
def test_no_complaint_about_a_broken_file_tells_a_secret(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    told = f"{caught.value!r} {caught.value} {caught.value.problems}"
    assert not [piece for piece in ("s3cr", "hunter2") if piece in told]
    assert "\xe9" not in told and "0xe9" not in told
    assert caught.value.__cause__ is None  # nor does a traceback


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[rabbit]\nhost = x\nnonsense\nmore nonsense\n", "line 3: is neither"),
        ("host = x\n", "line 1: comes before the first [section]"),
        ("\x00\x01\x02\x03", "line 1: comes before the first [section]"),
        ("[rabbit]\nhost = a\nHOST = b\n", "[rabbit] host: is set twice"),
        ("[rabbit]\nhost = a\n[rabbit]\n", "[rabbit]: appears twice"),
        ("[DEFAULT]\nhost = a\n", "[DEFAULT]: unknown section"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8 text: byte 1"),
        (b"PK\x03\x04\x14\x00\xff\xfe", "is not UTF-8 text: byte 7"),
        ("[rabbit]\n = x\n", "line 2: is neither"),
        ("", "[rabbit] host: is required but not set"),
    ],
)
def test_a_broken_file_is_a_complaint_with_its_line(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    assert problems(tmp_path, text)[0].startswith(complaint)


def test_every_broken_line_is_listed(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").replace("port = 9000", "nonsense\nport = 9000\nmore")
    told = problems(tmp_path, text)
    assert [problem.split(":")[0] for problem in told] == ["line 7", "line 9"]


def test_what_is_there_twice_hides_no_other_problem(tmp_path: Path) -> None:
    text = """
before = any
section = x
[rabbit]
host = a
nonsense
host = b
HOST = c
  host = d
window = 0
[consumer]
host = c
[rabbit]
heartbeat = 0
hsot = x
host = e
[consumer]
port = 9000
[database]
dbname = x
user = y
password = z
"""
    assert problems(tmp_path, text) == [
        "line 2: comes before the first [section]",
        "line 6: is neither a [section] nor an option = value",
        "[rabbit] host: is set twice",
        "[rabbit] host: is set twice",
        "[rabbit]: appears twice",
        "[consumer]: appears twice",
        "[rabbit] hsot: unknown option",
        "[rabbit] window: must be from 1 to 1000000, not 0",
        "[rabbit] heartbeat: must be from 1 to 3600, not 0",
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    text = COMPLETE.format(password="x").strip().replace("\n", "\r\n").encode()
    assert load(tmp_path, b"\xef\xbb\xbf" + text).rabbit.host == "broker.example"


def test_a_file_that_cannot_be_read_is_a_complaint(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory"):
        model.read(tmp_path, {})
    with pytest.raises(ConfigurationError, match="there is no such configuration file"):
        model.load(tmp_path / "none.ini", {})


def test_settings_that_are_written_as_a_file_are_read_as_they_were(tmp_path: Path) -> None:
    """Every kind of value: the parts that `serve --local` starts are told so."""
    text = (
        COMPLETE.format(password="x")
        + """[server]
uploads = /some where/else
max_upload = 3G
hosts = a.example, [::1]
trusted_proxies = 127.0.0.1, 10.0.0.0/8, ::1, fd00::/8
idle_timeout = 0.5
"""
    )
    for settings in (load(tmp_path, text), load(tmp_path, text, PROMISE_PUB_RABBIT_SSL="yes")):
        inifile.write(tmp_path / "written.ini", settings)
        assert model.load(tmp_path / "written.ini", {}) == settings
