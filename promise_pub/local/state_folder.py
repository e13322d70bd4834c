"""The state folder, recognised wherever it went: moved, copied, or restored from a backup.

A path proves nothing about a folder, and neither does the content of a file in it: a copy has the same. So the folder
holds an identity that names its own inode. A folder that is moved keeps both. A copy has the identity and another
inode: it gets an identity of its own, and records the folder that it came from. So does one that was restored from a
backup, or moved to another disk: these cannot be told from copies. Data of a service, inside the folder or elsewhere,
carry the mark of the folder that owns them.

Nothing here ever deletes data.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import pwd
import secrets
import stat
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_pub.errors import LocalStackError
from promise_pub.files import close_to_others, write_private
from promise_pub.local.processes import POLL

_IDENTITY = "identity.json"
_MARK = "owner"
_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION of linux/fs.h


@dataclass(frozen=True, slots=True)
class Owner:
    """A state folder as another folder recorded it: its identity, and its path at that time."""

    id: str
    path: Path

    @classmethod
    def parse(cls, value: Any) -> Owner | None:
        """Returns the owner that a JSON value names, None for any other value."""
        if isinstance(value, dict) and isinstance(value.get("id"), str) and isinstance(value.get("path"), str):
            return cls(value["id"], Path(value["path"]))
        return None

    def as_json(self) -> dict[str, str]:
        return {"id": self.id, "path": str(self.path)}

    def is_there(self) -> bool:
        """Returns True if the folder at its path is still that one, and not a copy of it or another."""
        with suppress(OSError):  # on a disk that is not mounted, or in a home that is closed to us
            known = _read(self.path / _IDENTITY)
            return known is not None and known["id"] == self.id and _is_at(known, self.path)
        return False


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder of a local stack. `copied_from` is the folder whose identity it came with, if any."""

    path: Path
    id: str
    copied_from: Owner | None

    def owns(self, part: Path) -> bool:
        """Returns True if the data in a service's folder are this folder's, as data without a mark are."""
        owner = read_mark(part)
        return owner is None or owner.id == self.id

    def original(self) -> Owner | None:
        """Returns the folder that this one is a copy of, unless it was moved or deleted."""
        source = self.copied_from
        return source if source and source.is_there() else None

    def mark(self, part: Path) -> None:
        """Marks the data in a service's folder as this folder's."""
        wanted = Owner(self.id, self.path)
        if read_mark(part) != wanted:
            write_private(part / _MARK, json.dumps(wanted.as_json()))


class InUse(Exception):
    """A folder that another server has locked."""


def lock(folder: Path, *, shared: bool = False, within: float = 0.0) -> Callable[[], None]:
    """Locks a folder, and returns the function that unlocks it. Blocks for up to `within` seconds. Raises InUse.

    With `shared`, others that only read may lock it too. The kernel unlocks it when we are killed, so that a lock is
    never stale. The folder itself is locked, because a backup unpacked over it could replace a file in it. Older
    versions check that file, so it is locked as well.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with ExitStack() as files:
        lock_file = folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        for path, flags in ((folder, os.O_DIRECTORY), lock_file):
            file = os.open(path, flags, 0o600)
            files.callback(os.close, file)
            _flock(file, kind, time.monotonic() + within)
        return files.pop_all().close


def _flock(file: int, kind: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise InUse from None
            time.sleep(POLL)
        except OSError as error:
            if error.errno in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP):
                return  # a network file system cannot lock folders; it can lock the file
            raise


def read_mark(part: Path) -> Owner | None:
    """Returns the owner of the data in a service's folder, None without a mark."""
    return Owner.parse(_read(part / _MARK))


def check_owner(path: Path) -> None:
    """Raises LocalStackError when the folder belongs to another user, who could not use the data that we store in it."""
    uid = path.stat().st_uid
    if uid != os.geteuid():
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        raise LocalStackError(
            f"{path} belongs to the user {user}, as do its data. Start it as that user, or name another folder with --state."
        )


def close(path: Path) -> None:
    """Closes the folder to other users, as it is made: a backup may have restored it otherwise.

    A folder that has other things in it too, and may be shared, keeps its rights: each file of the stack in it is closed.
    Raises LocalStackError if others may write to such a folder, and so put files in place of those.
    """
    others_write = path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if (path / _IDENTITY).exists() or not any(path.iterdir()):
        close_to_others(path.resolve())
    elif others_write:
        raise LocalStackError(
            f"{path} has other files than those of the stack, and other users may write to it. Name a folder of its own with "
            f"--state, or close this one: chmod go-w {path}"
        )


def recognise(path: Path) -> StateFolder:
    """Reads the folder's identity, and makes one where there is none. The caller must hold the folder's lock.

    Raises OSError when it cannot be read or written.
    """
    facts = path.stat()
    known = _read(path / _IDENTITY)
    if known and _is_at(known, path):
        folder = StateFolder(path, known["id"], Owner.parse(known.get("copied_from")))
    else:
        folder = StateFolder(path, secrets.token_hex(16), Owner.parse(known))
    identity = {
        **Owner(folder.id, path).as_json(),
        "device": facts.st_dev,
        "inode": facts.st_ino,
        "generation": _generation(path),
        "copied_from": folder.copied_from.as_json() if folder.copied_from else None,
    }
    if known != identity:
        write_private(path / _IDENTITY, json.dumps(identity))
    return folder


def unused(path: Path) -> Path:
    """Returns the path, with a number if it exists already."""
    others = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], others) if not each.exists())


def _is_at(identity: dict[str, Any], path: Path) -> bool:
    """Returns True if the identity was written for the folder at this path.

    A disk may get another device number with each start of the machine, so where the path is the same the inode decides.
    """
    facts = path.stat()
    same_disk = identity.get("device") == facts.st_dev or identity["path"] == str(path)
    inode = identity.get("inode"), identity.get("generation")
    return same_disk and inode == (facts.st_ino, _generation(path))


def _generation(path: Path) -> int | None:
    """Returns the number that tells a folder from an earlier one with its inode number, None on file systems without that."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return int.from_bytes(fcntl.ioctl(folder, _GET_GENERATION, bytes(8))[:4], sys.byteorder)
    except OSError:
        return None
    finally:
        os.close(folder)


def _read(path: Path) -> dict[str, Any] | None:
    """Returns the content of an identity or a mark, None where there is none or it is damaged."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return value if Owner.parse(value) else None
    return None
