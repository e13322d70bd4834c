"""A sum over mails that two sides can take, the database among them, to see whether both hold the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5

DIGITS = 15  # hexadecimal digits of a hash that count: as many as a bigint takes


@dataclass
class MailSum:
    """The number of mails, and the sum of the first 60 bits of their MD5 hashes as integers.

    Two different sets of mails have the same sum once in 2**60, unless somebody chose them for that.
    """

    rows: int = 0
    hashes: int = 0

    def add(self, mails: Iterable[str]) -> None:
        hashes = [int(md5(mail.encode(), usedforsecurity=False).hexdigest()[:DIGITS], 16) for mail in mails]
        self.rows += len(hashes)
        self.hashes += sum(hashes)
