"""Which PostgreSQL data belong to a state folder: its own, wherever it was moved, and never another's.

A folder that is copied begins with a copy of the data, or, where these are in use, with none; the original keeps its own.
As root the data are outside the folder, which has a pointer to them; their home has the mark of the folder that owns it,
and a lock that is held as long as somebody works with them. No data are ever deleted.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from promise_pub.errors import LocalStackError
from promise_pub.local.places import (
    BINARIES,
    PLACES_VARIABLE,
    Home,
    account,
    copied_programs,
    package,
    places_folder,
    working_in,
)
from promise_pub.local.processes import STOP_GRACE, as_account, dying_with_us, write_private
from promise_pub.local.state_folder import InUse, Owner, StateFolder, lock, read_mark, unused

POINTER = "postgresql.place"
_POLL = 0.05  # seconds
_ASIDE = "data.copied"
_LOCK_PATIENCE = 1.0  # seconds; others who only look let go at once
_ORPHANS_TOLD = 5  # databases without a folder that a start names
_COPY_TIMEOUT = 3600.0  # seconds for a copy of the data; a slow disk writes 100 GB in that

Warn = Callable[[str], None]
"""Is told what became of data that are not where, or whose, people may think."""


def prepare(state: StateFolder, warn: Warn, held: ExitStack) -> Home:
    """The home of the data of this state folder, made when it is not there, and nobody else's as long as `held` is open.

    Blocks: a first copy of the programs takes about a second, one of the data as long as it takes. Raises PartMissing
    without the package that brings PostgreSQL, LocalStackError when there is no home for the data, or they are in use.
    """
    source = package()
    as_root = os.geteuid() == 0
    _check_whose(state, as_root=as_root)
    if not as_root:
        return _within(state, Home(state.path / "postgresql", source / BINARIES, None), warn)
    places = places_folder()
    home = Home(places, copied_programs(source, places), account())
    home = replace(home, folder=_own_place(state, home, warn, held))
    _tell_of_orphans(places, home.folder, warn)
    return home


def _check_whose(state: StateFolder, *, as_root: bool) -> None:
    """Raises LocalStackError where the data were made by root and we are not root, or the other way round.

    Such a folder has changed its owner, and would else begin with an empty database without a word.
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


def _within(state: StateFolder, home: Home, warn: Warn) -> Home:
    """The home in the state folder, where everything is moved and copied together."""
    home.folder.mkdir(exist_ok=True)
    home.folder.chmod(0o700)  # also one that a backup brought back otherwise
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


def _begin_anew(state: StateFolder, home: Home, original: Path, warn: Warn) -> None:
    """Sets data aside that were copied while a server wrote to them; copies those of now, if no server does."""
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


def _own_place(state: StateFolder, home: Home, warn: Warn, held: ExitStack) -> Path:
    """The folder outside the state folder that its pointer names, or a new one. Only who holds its lock may work with it."""
    pointer = state.path / POINTER
    name = _read_pointer(pointer)
    if name is None:
        return _new_place(state, home, held, source=None)
    place = home.folder / name
    if not place.is_dir():
        raise LocalStackError(
            f"The database of {state.path} is gone: there is no {place}. Bring it back, or name the folder that it is in by "
            f"{PLACES_VARIABLE}; or, to begin with an empty database, delete {pointer}."
        )
    owner = _owner_of(place)
    if owner and not _is_ours(owner, state, name):
        return _copied_place(state, home, place, owner, warn, held)
    try:
        held.callback(lock(place, within=_LOCK_PATIENCE))
    except InUse:
        raise LocalStackError(
            f"The database of {state.path} is in use: a server works with {place}, or another start copies it. Wait for that, "
            "or stop it, then start again."
        ) from None
    state.mark(place)
    return place


def _copied_place(state: StateFolder, home: Home, place: Path, owner: Owner, warn: Warn, held: ExitStack) -> Path:
    """A place of its own for a folder that came with the pointer to another's: with a copy of the data, if nobody writes."""
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
        f"{state.path} is a copy of {owner.path}, or was brought back from a backup or another disk. Its database begins as a "
        f"copy of that in {place}, which stays as it is."
    )
    return copied


def _new_place(state: StateFolder, home: Home, held: ExitStack, *, source: Path | None) -> Path:
    """A folder for data, empty or with a copy of the source's. The pointer comes last: before that nobody misses it.

    What a start left that was cut off before that is gone on with.
    """
    place = _unfinished(state, home.folder, copied=source is not None)
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


def _unfinished(state: StateFolder, places: Path, *, copied: bool) -> Path | None:
    """A place that this folder marked and never pointed to. One with data was `copied`, or its pointer was deleted since."""
    marked = (mark.parent for mark in places.glob("*/owner"))
    ours = (place for place in marked if (owner := _owner_told_by(place)) and owner.id == state.id)
    return next((place for place in ours if copied or not (place / "data").exists()), None)


def _copy_data(source: Path, home: Home) -> None:
    """Copies the data of a server that does not run, and its password. All of it is there in the end, or nothing.

    The server's account copies: root never writes into a folder of its.
    """
    data = source / "data"
    patience = time.monotonic() + STOP_GRACE  # for the server of a promise-pub that was killed just now
    while left := working_in(data):
        if time.monotonic() > patience:
            raise LocalStackError(
                f"{data} is to be copied, and PostgreSQL still works in it: process {left[0]}. Stop that first."
            )
        time.sleep(_POLL)
    if not data.exists() or home.data.exists():
        return  # there is nothing, or it was done by a start that was cut off right behind it
    new = home.make("data.new")
    try:
        done = subprocess.run(
            dying_with_us(["cp", "-a", f"{data}/.", new], signal.SIGKILL),
            cwd=home.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_COPY_TIMEOUT,
            **as_account(home.account),
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
    # Before it has the name of something whole: this disk alone is synced, others may be busy.
    subprocess.run(["sync", "-f", new], check=True, timeout=_COPY_TIMEOUT)
    new.rename(home.data)


def _is_ours(owner: Owner, state: StateFolder, name: str) -> bool:
    """Tells whether the owner of the place of this name is this folder."""
    if owner.id:
        return owner.id == state.id
    # An older version knew paths only: the folder is where it was, or was moved, if nothing there points to the place.
    return owner.path == state.path or not _points_to(owner.path, name)


def _owner_of(place: Path) -> Owner | None:
    """Reads who owns a place. An older version wrote a device's number and the path of the pointer."""
    if owner := read_mark(place):
        return owner
    with suppress(FileNotFoundError):
        device, _, pointer = (place / "owner").read_text("utf-8", "surrogateescape").partition("\n")
        if device.isdigit() and pointer:
            return Owner("", Path(pointer).parent)
    return None


def _owner_told_by(place: Path) -> Owner | None:
    """Reads who owns a place that may be somebody else's: whatever is wrong with that is no matter of ours."""
    with suppress(OSError):
        return _owner_of(place)
    return None


def _points_to(state: Path, name: str) -> bool:
    with suppress(OSError, LocalStackError):
        return _read_pointer(state / POINTER) == name
    return False


def _read_pointer(pointer: Path) -> str | None:
    """The name of the place, which is never a path. Raises LocalStackError for one that cannot be."""
    try:
        name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(name) == 12 and name.isalnum():
        return name
    raise LocalStackError(
        f"{pointer} names no folder of a database. Restore it; or, to begin with an empty database, delete it."
    )


def _tell_of_orphans(places: Path, own: Path, warn: Warn) -> None:
    """Says which databases nothing points to any more, not even what was moved to a place where nobody has looked yet."""
    others = {path.parent for path in places.glob("*/data*") if path.parent != own}
    orphans = {place: owner for place in others if (owner := _deserted_by(place))}
    for place, owner in sorted(orphans.items(), key=lambda each: each[1].path)[:_ORPHANS_TOLD]:
        warn(
            f"{place} has a database of {owner.path}, which does not point to it: that was deleted, moved and not started since, "
            "or is on a disk that is away, or has another database now. Nothing deletes it."
        )
    if len(orphans) > _ORPHANS_TOLD:
        warn(f"{len(orphans) - _ORPHANS_TOLD} more such databases are in {places}.")


def _deserted_by(place: Path) -> Owner | None:
    """The folder that this place belonged to, unless that points to it still, or somebody works with it."""
    owner = _owner_told_by(place)
    if owner is None or _points_to(owner.path, place.name):
        return None
    with suppress(InUse, OSError):
        lock(place, shared=True)()
        return owner
    return None
