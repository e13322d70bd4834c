"""A proof that two sides hold the same rows, whatever the order they came in. No I/O.

Each row counts as the 128-bit BLAKE2b hash of its message id and its body, and a set of rows as the sum of its hashes
modulo 2**128. A sum does not care for order, grows and is kept in constant memory, and can be taken up again from its
value alone, which is what a checkpoint needs. XOR would do all that too, but a row counted twice would vanish from it.
The message id names the run and the row, so equal bodies count as different rows, and the rows of one run never stand
in for those of another. This tells errors, with a chance of 2**-128 of missing one; it is no defence against somebody
who builds rows to collide.
"""

from __future__ import annotations

import re
from hashlib import blake2b

SIZE = 16  # bytes of a hash, and of the sum
MODULUS = 1 << (8 * SIZE)
_WRITTEN = re.compile(r"[0-9a-f]{32}")


def fingerprint(message_id: bytes, body: bytes) -> int:
    """Returns one row's share of the sum. An id holds no NUL, so its end is not in doubt."""
    return int.from_bytes(blake2b(b"%b\0%b" % (message_id, body), digest_size=SIZE).digest())


class RowDigest:
    """Sum over rows 1, 2, 3 …: each counts once, however often it is published.

    `through` is the number of the last row in it.
    """

    def __init__(self, through: int = 0, value: int = 0) -> None:
        self.through = through
        self.value = value

    def __str__(self) -> str:
        return written(self.value)


def written(value: int) -> str:
    """Writes a sum as reports and sessions do: 32 hexadecimal digits."""
    return f"{value % MODULUS:032x}"


def is_written(text: object) -> bool:
    """Tells whether this is a digest as `written` writes it."""
    return isinstance(text, str) and _WRITTEN.fullmatch(text) is not None
