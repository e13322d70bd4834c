"""Files that are written whole or not at all, and stay on the disk after a crash."""

from __future__ import annotations

import os
from pathlib import Path


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
