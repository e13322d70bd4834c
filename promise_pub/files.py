"""Files that are written whole or not at all, stay on the disk after a crash, and are their owner's alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Replaces a file that only its owner may read. A kill or a full disk leaves the file that was there before.

    The file is on the disk when this returns. A link at `path` is replaced, not followed.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with open(new, "x", encoding="utf-8", opener=open_private) as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_private(path: Path) -> str:
    """Returns the text of a secret, and takes away the rights that others have to it.

    Raises PermissionError when it is another user's, who may have chosen it.
    """
    with path.open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, "belongs to another user; give it to the one who uses it (chown)", str(path)
            )
        _close_to_others(file.fileno())
        return file.read()


def close_to_others(path: Path) -> None:
    """Takes away the rights that others have to a file or a folder of ours. Raises OSError, also for a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _close_to_others(descriptor)
    finally:
        os.close(descriptor)


def _close_to_others(descriptor: int) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & _OTHERS:
        os.fchmod(descriptor, mode & ~_OTHERS)


def is_open_to_all(path: Path) -> bool:
    """Tells whether every user may read or write a file. A group may be meant to, such as that of a service."""
    return bool(path.stat().st_mode & stat.S_IRWXO)


def sync_folder(folder: Path) -> None:
    """Writes the names in a folder to the disk: that of a new file would be lost in a crash otherwise."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: str, flags: int) -> int:
    """Opens a file, as an `opener` of `open`, so that a new one is readable by its owner alone."""
    return os.open(path, flags, 0o600)
