"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from promise_pub.files import close_to_others, is_open_to_all, read_private, write_private


def test_a_file_is_replaced_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old, and longer than the new one")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    write_private(path, "for reading", 0o400)
    assert path.stat().st_mode & 0o777 == 0o400
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "secret"
    elsewhere.write_text("another's")
    for link in (path, tmp_path / "secret.new"):
        link.symlink_to(elsewhere)
    write_private(path, "ours")
    assert (path.read_text(), elsewhere.read_text(), path.is_symlink()) == ("ours", "another's", False)


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "secret"
    write_private(path, "old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "new")
    assert path.read_text() == "old" and [*tmp_path.iterdir()] == [path]


def test_a_secret_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("ours")
    path.chmod(0o664)
    assert read_private(path) == "ours"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o400)
    assert read_private(path) == "ours"
    assert path.stat().st_mode & 0o777 == 0o400


def test_a_secret_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_text("theirs")
    path.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match=f"belongs to another user.*{path}"):
        read_private(path)
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_a_link_leads_to_keeps_its_rights(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("for all")
    target.chmod(0o644)
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        close_to_others(link)
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("mode", "open_to_all"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_a_file_is_open_to_all_when_others_than_its_group_may_use_it(
    tmp_path: Path, mode: int, open_to_all: bool
) -> None:
    path = tmp_path / "key"
    path.write_text("")
    path.chmod(mode)
    assert is_open_to_all(path) is open_to_all
