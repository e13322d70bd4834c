"""Hashes of blocks of consecutive records, which show where two files differ: a digest tells only that they do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

MAX_BLOCKS = 4_096
"""Blocks that a file is divided into: a file with no more records than these has a hash for each."""
_SIZE = 8  # bytes of a hash: enough to find an error, and the digest proves


class Blocks(NamedTuple):
    """A file in blocks of `size` records, the last one perhaps shorter, with a hash of each."""

    size: int
    hashes: Sequence[str]


def block_size(records: int) -> int:
    """Returns the number of records in a block of a file with so many."""
    return max(1, -(-records // MAX_BLOCKS))


class BlockHasher:
    """Hashes records, `size` to a block, in constant memory.

    A record is what it says, in bytes: the body of its message, or why it is rejected.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._hash = blake2b(digest_size=_SIZE)

    def add(self, records: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """Yields the end of each block that is complete with these records, as a place among them, and its hash."""
        start = 0
        while start < len(records):
            end = min(len(records), start + self._size - self._held)
            self._hash.update(b"\n".join([*records[start:end], b""]))
            self._held += end - start
            if self._held == self._size:
                yield (end, self._end_block())
            start = end

    def finish(self) -> str | None:
        """Returns the hash of the last block; None where it is complete, or there is none."""
        return self._end_block() if self._held else None

    def _end_block(self) -> str:
        written = self._hash.hexdigest()
        self._held, self._hash = 0, blake2b(digest_size=_SIZE)
        return written
