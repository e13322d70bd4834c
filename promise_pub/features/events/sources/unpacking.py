"""Bytes of files, also of those that gzip packed, of one member or several, with no more in memory than is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from promise_pub.sources import Damaged

MAGIC = b"\x1f\x8b\x08"

# Packed bytes that are read at once. What is left of them is copied for each member, however small these are.
_CHUNK = 16 * 1024
_WITH_GZIP_HEADER = 31  # zlib's number for it


class Ahead:
    """Bytes of which some can be looked at before they are read. Where they are damaged, those before the damage come first."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = b""
        self._damage: Damaged | None = None

    def peek(self, size: int) -> bytes:
        """Returns the next bytes, fewer than `size` only where no more follow."""
        while len(self._held) < size and not self._damage:
            try:
                more = self._read(size - len(self._held))
            except Damaged as damage:
                self._damage = damage
                break
            if not more:
                break
            self._held += more
        return self._held[:size]

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes, at least one before the end. Raises Damaged."""
        if self._held:
            taken, self._held = self._held[:size], self._held[size:]
            return taken
        if self._damage:
            raise self._damage
        return self._read(size)


class Unpacker:
    """The unpacked bytes of a file. `has_rubbish` is True once something else was found after its last member.

    Zeros after a member fill a tape or a block, and are none.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read_packed = read
        self._packed = b""
        self._member: zlib._Decompress | None = None
        self._is_over = False
        self.has_rubbish = False

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes, at least one before the end. Raises Damaged where the file is cut off or broken."""
        while not self._is_over:
            is_last = not self._packed and not self._fill()
            if self._member is None:
                self._begin_member()
            elif unpacked := self._unpack(self._member, size, is_last):
                return unpacked
        return b""

    def _fill(self) -> bool:
        more = self._read_packed(_CHUNK)
        self._packed += more
        return bool(more)

    def _begin_member(self) -> None:
        self._packed = self._packed.lstrip(b"\0")
        while 0 < len(self._packed) < len(MAGIC) and self._fill():
            pass
        if self._packed.startswith(MAGIC):
            self._member = zlib.decompressobj(_WITH_GZIP_HEADER)
        elif self._packed or not self._fill():
            self._is_over, self.has_rubbish = True, bool(self._packed)

    def _unpack(self, member: zlib._Decompress, size: int, is_last: bool) -> bytes:
        try:
            unpacked = member.decompress(self._packed, size)
        except zlib.error as error:
            self._is_over = True
            raise Damaged(f"It cannot be unpacked further: {error}.") from None
        if member.eof:
            self._packed, self._member = member.unused_data, None
        elif is_last and not unpacked:
            self._is_over = True
            raise Damaged("It is cut off: the packed file ends within its content.")
        else:
            self._packed = member.unconsumed_tail
        return unpacked
