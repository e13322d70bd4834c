"""The PostgreSQL data of a state folder: found wherever it was moved, and never shared with another folder.

A copied folder begins with a copy of the data, or, while these are in use, with none; the original keeps its own.
For root the data are outside the folder, which has a pointer to them; their place has the mark of the folder that owns
it, and is locked while a server works with it. No data are ever deleted.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from promise_pub.errors import LocalStackError
from promise_pub.files import write_private
from promise_pub.local.parts import die_with_parent, run_as
from promise_pub.local.postgres_home import PLACES_VARIABLE, PostgresHome, find_nobody, places_folder
from promise_pub.local.postgres_programs import BINARIES, copy_programs, find_package
from promise_pub.local.processes import POLL, STOP_GRACE, find_working_in
from promise_pub.local.service import Report
from promise_pub.local.state_folder import InUse, Owner, StateFolder, lock, read_mark, unused

POINTER = "postgresql.place"
_ASIDE = "data.copied"
_LOCK_PATIENCE = 1.0  # seconds; others lock it for a moment, to see whether it is in use
_MAX_ORPHANS = 5  # databases without a folder that a start names
_COPY_TIMEOUT = 3600.0  # seconds for a copy of the data; a slow disk writes 100 GB in that


def prepare(state: StateFolder, warn: Report, held: ExitStack) -> PostgresHome:
    """Returns the home of this state folder's data, made if it is not there, and locked until `held` is closed.

    `warn` shows what happened to data that are not where, or whose, people may expect.
    Blocks: a first copy of the programs takes about a second, one of the data depends on their size. Raises PartMissing
    without the package that brings PostgreSQL, LocalStackError when there is no home for the data, or they are in use.
    """
    source = find_package()
    as_root = os.geteuid() == 0
    _check_same_user(state, as_root=as_root)
    if not as_root:
        return _within(state, PostgresHome(state.path / "postgresql", source / BINARIES, None), warn)
    places = places_folder()
    home = PostgresHome(places, copy_programs(source, places), find_nobody())
    home = replace(home, folder=_own_place(state, home, warn, held))
    _warn_of_orphans(places, home.folder, warn)
    return home


def _check_same_user(state: StateFolder, *, as_root: bool) -> None:
    """Raises LocalStackError if root made the data and we are not root, or the other way round.

    The owner of such a folder was changed, and it would begin with an empty database silently.
    """
    pointer, inside = state.path / POINTER, state.path / "postgresql" / "data"
    if as_root and inside.exists() and not pointer.exists():
        made_by, there = "an ordinary user", inside
    elif not as_root and pointer.exists() and not inside.exists():
        made_by, there = "root", pointer
    else:
        return
    raise LocalStackError(
        f"The database of {state.path} was made by {made_by} and cannot be used by another. Start it as that user; or, to "
        f"begin with an empty database, move {there} away."
    )


def _within(state: StateFolder, home: PostgresHome, warn: Report) -> PostgresHome:
    """Returns the home in the state folder, which is moved and copied together with its data."""
    home.folder.mkdir(exist_ok=True)
    home.folder.chmod(0o700)  # a backup may have restored it otherwise
    running = home.data / "postmaster.pid"
    set_aside = not home.data.exists() and any(home.folder.glob(f"{_ASIDE}*"))  # by a start that was cut off
    if not state.owns(home.folder) and (running.exists() or set_aside):
        original = state.original()
        if original is None:
            raise LocalStackError(
                f"{home.data} was copied while its PostgreSQL was running, or came from another disk or a backup after that "
                f"was killed. A copy of a running database may be damaged. If it was not running, delete {running} and "
                f"start again. Else begin with an empty database: move {home.folder} away."
            )
        _begin_anew(state, home, original.path, warn)
    state.mark(home.folder)
    return home


def _begin_anew(state: StateFolder, home: PostgresHome, original: Path, warn: Report) -> None:
    """Sets aside data that were copied while a server wrote to them, and copies the present ones unless it still does."""
    if home.data.exists():
        home.data.rename(unused(home.folder / _ASIDE))
    try:
        with ExitStack() as held:
            held.callback(lock(original, shared=True))
            _copy_data(original / "postgresql", home)
        begins = f"begins as a copy of that of {original} as it is now"
    except InUse:
        begins = f"is new and empty, because that of {original} is in use"
    warn(
        f"{state.path} is a copy of {original}, made while its PostgreSQL was running. What was copied may be damaged and is "
        f"not used; it is in {home.folder / _ASIDE}. The database {begins}."
    )


def _own_place(state: StateFolder, home: PostgresHome, warn: Report, held: ExitStack) -> Path:
    """Returns the place outside the state folder that its pointer names, or a new one, and locks it.

    A folder that was copied with its pointer gets a place of its own, with a copy of the data unless a server writes them.
    """
    pointer = state.path / POINTER
    name = _read_pointer(pointer)
    if name is None:
        return _new_place(state, home, held, source=None)
    place = home.folder / name
    if not place.is_dir():
        raise LocalStackError(
            f"The database of {state.path} is missing: there is no {place}. Bring it back, or name the folder that it is in "
            f"by {PLACES_VARIABLE}; or, to begin with an empty database, delete {pointer}."
        )
    owner = _owner_of(place)
    if owner and not _is_ours(owner, state, name):
        try:
            with ExitStack() as reading:
                reading.callback(lock(place, shared=True))
                copied = _new_place(state, home, held, source=place)
        except InUse:
            warn(
                f"{state.path} is a copy of {owner.path}, which is running and keeps its database. Here it is new and empty."
            )
            return _new_place(state, home, held, source=None)
        warn(
            f"{state.path} is a copy of {owner.path}, or was brought back from a backup or another disk. Its database begins "
            f"as a copy of that in {place}, which stays as it is."
        )
        return copied
    try:
        held.callback(lock(place, within=_LOCK_PATIENCE))
    except InUse:
        raise LocalStackError(
            f"The database of {state.path} is in use: a server works with {place}, or another start copies it. Wait for that, "
            "or stop it, then start again."
        ) from None
    state.mark(place)
    return place


def _new_place(state: StateFolder, home: PostgresHome, held: ExitStack, *, source: Path | None) -> Path:
    """Makes a place for data, empty or with a copy of the source's. Continues with one that an interrupted start left.

    The pointer is written last: without it, nothing is lost when the place is incomplete.
    """
    marked = [mark.parent for mark in home.folder.glob("*/owner")]
    ours = (place for place in marked if (owner := _try_owner_of(place)) and owner.id == state.id)
    # One with data was copied by that start, or its pointer was deleted since.
    place = next((place for place in ours if source or not (place / "data").exists()), None)
    if place is None:
        place = home.folder / secrets.token_hex(6)
        place.mkdir()
    place.chmod(0o711)
    held.callback(lock(place, within=_LOCK_PATIENCE))
    state.mark(place)
    if source:
        _copy_data(source, replace(home, folder=place))
    write_private(state.path / POINTER, place.name)
    return place


def _copy_data(source: Path, home: PostgresHome) -> None:
    """Copies the data of a server that does not run, and its password: all of it, or nothing.

    The server's user copies them, since root never writes into its folders.
    """
    data = source / "data"
    patience = time.monotonic() + STOP_GRACE  # for the server of a promise-pub that was killed just now
    while left := find_working_in(data):
        if time.monotonic() > patience:
            raise LocalStackError(
                f"{data} is to be copied, and PostgreSQL still works in it: process {left[0]}. Stop that first."
            )
        time.sleep(POLL)
    if not data.exists() or home.data.exists():
        return  # nothing to copy, or copied by a start that was interrupted right after it
    new = home.make("data.new")
    try:
        done = subprocess.run(
            die_with_parent(["cp", "-a", f"{data}/.", new], signal.SIGKILL),
            cwd=home.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_COPY_TIMEOUT,
            **run_as(home.user),
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise LocalStackError(f"{data} could not be copied: {said[-1] if said else 'cp failed'}")
        write_private(home.folder / "password", (source / "password").read_text(encoding="utf-8"))
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, subprocess.TimeoutExpired):
            raise LocalStackError(f"{data} could not be copied within {_COPY_TIMEOUT:g} s") from error
        raise
    # Synced before it gets the name of complete data; this disk alone, as others may be busy.
    subprocess.run(["sync", "-f", new], check=True, timeout=_COPY_TIMEOUT)
    new.rename(home.data)


def _is_ours(owner: Owner, state: StateFolder, name: str) -> bool:
    """Returns True if the owner of the place of this name is this folder."""
    if owner.id:
        return owner.id == state.id
    # Older versions knew paths only: the folder is where it was, or was moved, if nothing there points to the place.
    return owner.path == state.path or not _points_to(owner.path, name)


def _owner_of(place: Path) -> Owner | None:
    """Returns the owner of a place. Older versions wrote a device's number and the path of the pointer."""
    if owner := read_mark(place):
        return owner
    with suppress(FileNotFoundError):
        device, _, pointer = (place / "owner").read_text("utf-8", "surrogateescape").partition("\n")
        if device.isdigit() and pointer:
            return Owner("", Path(pointer).parent)
    return None


def _try_owner_of(place: Path) -> Owner | None:
    """Returns the owner of a place that may be another's, None also when that cannot be read."""
    with suppress(OSError):
        return _owner_of(place)
    return None


def _points_to(state: Path, name: str) -> bool:
    with suppress(OSError, LocalStackError):
        return _read_pointer(state / POINTER) == name
    return False


def _read_pointer(pointer: Path) -> str | None:
    """Returns the name of the place, never a path. Raises LocalStackError for anything else."""
    try:
        name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(name) == 12 and name.isalnum():
        return name
    raise LocalStackError(
        f"{pointer} does not name a database. Restore it; or, to begin with an empty database, delete it."
    )


def _warn_of_orphans(places: Path, own: Path, warn: Report) -> None:
    """Warns of databases whose folder does not point to them, unless a server works with them."""
    orphans = []
    for place in {path.parent for path in places.glob("*/data*")} - {own}:
        owner = _try_owner_of(place)
        if owner and not _points_to(owner.path, place.name):
            with suppress(InUse, OSError):
                lock(place, shared=True)()
                orphans.append((owner.path, place))
    for path, place in sorted(orphans)[:_MAX_ORPHANS]:
        warn(
            f"{place} has a database of {path}, which does not point to it: that folder was deleted, moved and not started "
            "since, is on a disk that is not mounted, or has another database now. The database is never deleted."
        )
    if len(orphans) > _MAX_ORPHANS:
        warn(f"{len(orphans) - _MAX_ORPHANS} more such databases are in {places}.")
