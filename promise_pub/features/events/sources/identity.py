"""The identity of records: a key of what a record itself says, and the number of equal ones before it in its file."""

from __future__ import annotations

import struct
from collections import Counter
from hashlib import blake2b

KEY_SIZE = 16  # bytes
GENERATION = 100_000
"""Records after which counts of older ones begin to be forgotten: equal records that are two generations apart are one."""

_SHORT = 8  # bytes of a key by which it is counted
_HEAD = struct.Struct("<IIQ")
_COUNT = struct.Struct(f"<{_SHORT}sI")


def key_of(type_name: str, identity: bytes) -> bytes:
    """Returns the key of a record of a type. A better time zone or parser changes none: it is of the bytes as they are."""
    return blake2b(identity, digest_size=KEY_SIZE, person=blake2b(type_name.encode(), digest_size=16).digest()).digest()


class KeyCounter:
    """Counts of equal records of a file, in constant memory: those of the generation that goes on, and of the one before.

    Generations are turned by the number of the record in the file, so that a file counts alike whether it is read at once
    or in parts.
    """

    def __init__(self, records: int = 0) -> None:
        self._records = records
        self._now = Counter[bytes]()
        self._before = Counter[bytes]()

    def number(self, key: bytes) -> int:
        """Returns how many records equal to the next one came before it, as far as these are remembered."""
        if self._records and not self._records % GENERATION:
            self._before, self._now = self._now, Counter()
        self._records += 1
        short = key[:_SHORT]
        # The count goes on where the older generation left it, and so outlives that one.
        nth = self._now.get(short) or self._before.get(short, 0)
        self._now[short] = nth + 1
        return nth

    def dump(self) -> bytes:
        """Returns the counts, to go on with later: 12 bytes for each different record that is remembered."""
        counts = (_COUNT.pack(*pair) for counter in (self._now, self._before) for pair in counter.items())
        return _HEAD.pack(len(self._now), len(self._before), self._records) + b"".join(counts)

    @classmethod
    def load(cls, dumped: bytes) -> KeyCounter:
        """Reads what `dump` returned. Raises ValueError for anything else."""
        if len(dumped) < _HEAD.size:
            raise ValueError("counts of records are cut off")
        now, before, records = _HEAD.unpack_from(dumped)
        if len(dumped) != _HEAD.size + (now + before) * _COUNT.size:
            raise ValueError("counts of records are cut off")
        counter = cls(records)
        for place, (key, count) in enumerate(_COUNT.iter_unpack(dumped[_HEAD.size :])):
            (counter._now if place < now else counter._before)[key] = count
        return counter
