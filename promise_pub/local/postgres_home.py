"""The folders that embedded PostgreSQL works in, and the user that it runs as.

PostgreSQL refuses to run as root. For an ordinary user it runs as that user, with its data in the state folder. For root
it runs as `nobody`, the one unprivileged user that every Debian has; a user made for it would outlive us. `nobody` cannot,
and must not, enter a private home, so the data and a copy of the programs are in folders made for it under
`/var/lib/promise-pub`, and only a pointer is in the state folder; no folder that was there before changes its rights.
Other programs that run as `nobody` own the data as well, though they cannot read the password: a database that says who
may in is not kept there.

Root never writes into a folder that `nobody` owns: a link planted there would lead it anywhere.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from promise_pub.errors import ConfigurationError, LocalStackError
from promise_pub.files import write_private
from promise_pub.local.parts import SystemUser
from promise_pub.local.state_folder import StateFolder
from promise_pub.settings.model import ServerSettings

PLACES = Path("/var/lib/promise-pub")
PLACES_VARIABLE = "PROMISE_PUB_LOCAL_PLACES"  # another folder instead of PLACES, for a read-only /var, and for tests

SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_LIMIT = 107  # bytes in the path of a Unix socket on Linux


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """A server's own place: `data` and `run` inside `folder` belong to its user, `folder` itself to us."""

    folder: Path
    binaries: Path
    user: SystemUser | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self, name: str) -> Path:
        """Makes an empty folder for the server's user alone, in place of any that was there."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Makes the server's user the owner."""
        if self.user:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)


def check_accounts(server: ServerSettings) -> None:
    """Raises ConfigurationError for accounts in a database of root's: any process of `nobody` could make itself one."""
    if server.auth == "users" and os.geteuid() == 0:
        problem = (
            "[server] auth: cannot be users with the PostgreSQL that serve --local starts as root. It runs as nobody, and "
            "whatever else does owns its data. Start it as an ordinary user, or set [database] to another PostgreSQL."
        )
        raise ConfigurationError([problem])


def find_nobody() -> SystemUser:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalStackError("PostgreSQL refuses to run as root, and there is no user nobody to run it as.") from error
    return SystemUser(entry.pw_uid, entry.pw_gid)


def places_folder() -> Path:
    """Returns the folder for root's databases, made if it is not there, which only root can write to."""
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
    for folder in (places, *places.resolve().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise LocalStackError(
                f"{folder}: PostgreSQL, which runs as nobody, cannot pass. Name another folder in {PLACES_VARIABLE}."
            )
    return places


def make_socket_folder(home: PostgresHome, state: StateFolder) -> Path:
    """Makes an empty folder with a path short enough for a socket. Away from home it is recorded, to be removed later."""
    remove_socket_folder(state)
    if len(os.fsencode(home.folder / "run" / SOCKET_NAME)) <= _SOCKET_LIMIT:
        return home.make("run")
    path = Path(tempfile.mkdtemp(prefix=_socket_prefix(state)))  # mode 700
    write_private(state.path / "socket-folder", str(path))
    home.give(path)
    return path


def remove_socket_folder(state: StateFolder) -> None:
    """Removes the recorded folder, unless the record was copied from another state folder, to which it belongs then."""
    record = state.path / "socket-folder"
    with suppress(FileNotFoundError):
        folder = Path(record.read_text("utf-8", "surrogateescape"))
        if folder.name.startswith(_socket_prefix(state)):
            shutil.rmtree(folder, ignore_errors=True)
        record.unlink()


def _socket_prefix(state: StateFolder) -> str:
    return f"promise-pub-{state.id[:12]}-"
