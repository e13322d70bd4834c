"""Pages of the web, as browsers and lists of bookmarks tell them: their URLs, titles, folders and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from promise_pub.json_text import parse_json
from promise_pub.sources import Given, NoRecord, WrongType
from promise_pub.text import storable

MAX_NAME = 1_000
"""Characters of a folder's name. A path of folders that are nested as deep as may be stays short enough to be kept."""

_MAX_DIGITS = 20  # of 64 bits

# A number since 1970 is of seconds below the first, which they reach in the year 5138, of milliseconds below the second,
# which microseconds have been beyond since 1973.
_SECONDS, _MILLISECONDS = 10**11, 10**14


def text_of(value: object) -> str:
    """Returns text that can be stored. What is none is empty: a database and JSON have anything anywhere."""
    return storable(value).strip() if isinstance(value, str) else ""


def url_of(value: object) -> str:
    """Returns a URL as it stands. Raises NoRecord where there is none."""
    if url := text_of(value):
        return url
    raise NoRecord("it has no URL")


def whole_number(value: object) -> int:
    """Returns a number of a time, which may stand as text. Raises NoRecord for what is none, and for 0: it says that the time is
    not known."""
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if value is None or value == "" or value == 0:
        raise NoRecord("it has no time")
    if not isinstance(value, int) or isinstance(value, bool):
        raise NoRecord("its time is no whole number")
    return value


def since_1970(number: int, given: Given) -> datetime:
    """Returns a time in seconds, milliseconds or microseconds since 1970: its size tells them apart. Raises NoRecord."""
    if number < _SECONDS:
        return given.epoch(number)
    return given.epoch(number, 1_000 if number < _MILLISECONDS else 1_000_000)


def identity_of(url: object, time: object) -> bytes:
    """Returns the identity of a page at a time, of both as the file has them."""
    return f"{time} {url}".encode(errors="surrogatepass")


def folder_within(path: str, name: object) -> str:
    """Returns the path of a folder. One without a name has the path of the folder around it."""
    return "/".join(filter(None, (path, text_of(name)[:MAX_NAME])))


def without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value not in (None, "")}


def read_json(content: bytes, given: Given) -> Any:
    """Returns the value of a file of JSON. Raises WrongType for one that is none, or is nested too deep."""
    try:
        return parse_json(given.text(content).removeprefix("\ufeff"))
    except ValueError as error:
        raise WrongType(f"It is no JSON that can be read: {storable(str(error))[:200]}.") from None


def find_leaves(path: str, nodes: Sequence[Any], name: str) -> Iterator[dict[str, Any]]:
    """Yields what stands in a tree of folders, in its order, each with its `folder`. A folder is an object with `children`, its
    name the member `name`. What is no object becomes the `value` of one."""
    folders = [(path, iter(nodes))]
    while folders:
        path, rest = folders[-1]
        for node in rest:
            if not isinstance(node, dict):
                yield {"value": node, "folder": path}
            elif isinstance(children := node.get("children"), list):
                folders.append((folder_within(path, node.get(name)), iter(children)))
                break
            else:
                yield {**node, "folder": path}
        else:
            folders.pop()
