"""The state folder, known again wherever it went: moved, copied, or restored from a backup.

A path proves nothing about a folder, and neither does what a file in it says: a copy says the same. So the folder
holds an identity that names its own inode. A folder that is moved keeps both. A copy has the identity and another
inode: it gets an identity of its own, and remembers from which folder it came. So does one that was restored from a
backup, or moved to another disk: these cannot be told from copies. Data that a part keeps, inside the folder
or elsewhere, carry the mark of the folder that owns them.

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
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_pub.errors import LocalStackError
from promise_pub.files import write_private

_IDENTITY = "identity.json"
_MARK = "owner"
_POLL = 0.05  # seconds
_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION of linux/fs.h


@dataclass(frozen=True, slots=True)
class Owner:
    """A state folder as somebody else wrote it down: its identity, and where it was at that time."""

    id: str
    path: Path

    def is_there(self) -> bool:
        """Tells whether the folder at its path is still that one, and not a copy of it or another."""
        with suppress(OSError):  # on a disk that is away, or in a home that is closed to us
            known = _read(self.path / _IDENTITY)
            return known is not None and known["id"] == self.id and _is_at(known, self.path)
        return False


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder that a local stack keeps its state in. `copied_from` is the folder whose identity it came with, if any."""

    path: Path
    id: str
    copied_from: Owner | None

    def owns(self, part: Path) -> bool:
        """Tells whether a part's data are this folder's. Data without a mark belong to the folder that they lie in."""
        owner = read_mark(part)
        return owner is None or owner.id == self.id

    def original(self) -> Owner | None:
        """Finds the folder that this one is a copy of, as long as that is where it was."""
        source = self.copied_from
        return source if source and source.is_there() else None

    def mark(self, part: Path) -> None:
        """Writes into a part's folder that its data are this folder's from now on."""
        wanted = Owner(self.id, self.path)
        if read_mark(part) != wanted:
            write_private(part / _MARK, json.dumps({"id": self.id, "path": str(self.path)}))


class InUse(Exception):
    """Another server holds the folder."""


def lock(folder: Path, *, shared: bool = False, within: float = 0.0) -> Callable[[], None]:
    """Holds the folder until called; with `shared` others may hold it as well that only read. Blocks for `within` seconds.

    The kernel lets go when we are killed, so that a lock is never stale. The folder itself is locked: a file in it could be
    replaced, by a backup that is unpacked over it. Older versions look at that file, so it is locked as well. Raises InUse.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with ExitStack() as files:
        for path, flags in (
            (folder, os.O_DIRECTORY),
            (folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW),
        ):
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
            time.sleep(_POLL)
        except OSError as error:
            if error.errno in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP):
                return  # a network's file system that cannot lock folders; it can lock the file
            raise


def read_mark(part: Path) -> Owner | None:
    """Reads which folder owns a part's data. None where nothing says so."""
    return _owner(_read(part / _MARK))


def check_owner(path: Path) -> None:
    """Raises LocalStackError when the folder is another user's: what is in it would not be found, or not be theirs again."""
    uid = path.stat().st_uid
    if uid != os.geteuid():
        raise LocalStackError(
            f"{path} belongs to the user {_user(uid)}, as does what is stored there. Start it as that user, or name another "
            "folder with --state."
        )


def recognise(path: Path) -> StateFolder:
    """Reads the folder's identity, and makes one where there is none. Its caller holds the folder's lock.

    Raises OSError when it cannot be read or written.
    """
    facts = path.stat()
    known = _read(path / _IDENTITY)
    if known is None:
        folder = StateFolder(path, secrets.token_hex(16), None)
    elif _is_at(known, path):
        folder = StateFolder(path, known["id"], _owner(known["copied_from"]))
    else:
        folder = StateFolder(path, secrets.token_hex(16), _owner(known))
    source = folder.copied_from
    identity = {
        "id": folder.id,
        "path": str(path),
        "device": facts.st_dev,
        "inode": facts.st_ino,
        "generation": _generation(path),
        "copied_from": {"id": source.id, "path": str(source.path)} if source else None,
    }
    if known != identity:
        write_private(path / _IDENTITY, json.dumps(identity))
    return folder


def unused(path: Path) -> Path:
    """The path, with a number where there is something already."""
    others = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], others) if not each.exists())


def _is_at(identity: dict[str, Any], path: Path) -> bool:
    """Tells whether this is the folder that the identity was written for.

    A disk may get another device number with each start of the machine, so where the path is the same the inode decides.
    """
    facts = path.stat()
    same_disk = identity.get("device") == facts.st_dev or identity["path"] == str(path)
    return same_disk and (identity.get("inode"), identity.get("generation")) == (
        facts.st_ino,
        _generation(path),
    )


def _generation(path: Path) -> int | None:
    """Tells a folder from an earlier one with the same inode number. None on file systems that have nothing of the kind."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return int.from_bytes(fcntl.ioctl(folder, _GET_GENERATION, bytes(8))[:4], sys.byteorder)
    except OSError:
        return None
    finally:
        os.close(folder)


def _owner(value: dict[str, Any] | None) -> Owner | None:
    return Owner(value["id"], Path(value["path"])) if value else None


def _read(path: Path) -> dict[str, Any] | None:
    """Reads one of these files. None where there is none, or it holds something else."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        value = json.loads(path.read_text(encoding="utf-8"))
        if _names_a_folder(value):
            source = value.get("copied_from")
            return {**value, "copied_from": source if _names_a_folder(source) else None}
    return None


def _names_a_folder(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str) and isinstance(value.get("path"), str)


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
