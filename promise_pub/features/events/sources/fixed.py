"""Records of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from promise_pub.features.events.sources.finding import Judged, failing_as, judge, reject, require_one
from promise_pub.features.events.sources.identity import key_of
from promise_pub.sources import MAX_RECORD, Fixed, Found, Given, WrongType


def read_fixed(
    source: Fixed, head: bytes, chunks: Iterable[bytes], given: Given, position: int = 0, line: int = 1
) -> Iterator[Judged]:
    """Yields the records of one size of a file that begins with `head`; `chunks` are its bytes from a position on.

    A last part of a record is rejected. Raises WrongType.
    """
    if not head:
        return
    with failing_as(WrongType):
        size = source.size(head)
    if not 0 < size <= MAX_RECORD:
        raise WrongType(f"Its records are {size:,} bytes long, which none can be.")
    judged = _judge_fixed(source, size, chunks, given, position, line)
    yield from judged if position else require_one(judged, source)


def _judge_fixed(
    source: Fixed, size: int, chunks: Iterable[bytes], given: Given, position: int, line: int
) -> Iterator[Judged]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            content = rest[start : start + size]
            outcome = judge(source, content, given, content)
            own = outcome.identity if isinstance(outcome, Found) else None
            key = key_of(source.name, content if own is None else own)
            yield Judged(position, position + size, line, key, outcome, True)
            position, line = position + size, line + 1
        rest = rest[whole:]
    if rest:
        cut = reject(f"the file ends after {len(rest):,} of {size:,} bytes of the record", rest)
        yield Judged(position, position + len(rest), line, key_of(source.name, rest), cut, False)
