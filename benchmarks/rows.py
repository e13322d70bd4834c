"""The rows that every peer publishes: as a CSV file, and as message bodies of about 60 bytes, one a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

_BLOCK = 10_000  # rows written at once


def _record(number: int) -> str:
    return f"Person {number:07},p{number:07}@example.com\n"


def _body(number: int) -> str:
    return f'{{"name": "Person {number:07}", "mail": "p{number:07}@example.com"}}\n'


BODY_BYTES = len(_body(1)) - 1


class RowFiles:
    """Files of rows in one folder, each made once. Blocks: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def csv(self, count: int) -> Path:
        """`count` rows as promise-pub takes them."""
        return self._made(f"{count}.csv", _record, count)

    def bodies(self, count: int) -> Path:
        """The same rows as the message bodies promise-pub makes of them."""
        return self._made(f"{count}.bodies", _body, count)

    def csv_of_size(self, size: int) -> Path:
        """Rows that make `size` bytes, or a few more."""
        return self.csv(size // len(_record(1)) + 1)

    def _made(self, name: str, line: Callable[[int], str], count: int) -> Path:
        path = self._folder / name
        if not path.exists():
            with path.open("w", encoding="utf-8") as file:
                for block in _blocks(count):
                    file.write("".join(map(line, block)))
        return path


def _blocks(count: int) -> Iterator[range]:
    for first in range(1, count + 1, _BLOCK):
        yield range(first, min(first + _BLOCK, count + 1))
