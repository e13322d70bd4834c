"""A long list, a page at a time: what a request asks for, and where the other pages are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from promise_pub.errors import BadParameter

PER_PAGE = 50
MOST_PER_PAGE = 500
MOST_PAGES = 10**9


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a list, counted from 1."""

    page: int = 1
    per_page: int = PER_PAGE

    @property
    def skip(self) -> int:
        """How many stand on the pages before."""
        return (self.page - 1) * self.per_page

    def pages(self, total: int) -> int:
        """How many pages so many take."""
        return max(1, -(-total // self.per_page))

    def links(self, total: int, url: Callable[[int], str]) -> dict[str, str]:
        """Where the other pages are, by their relation to this one; `url` tells the address of each."""
        last = self.pages(total)
        targets = {"first": 1, "prev": self.page - 1, "next": self.page + 1, "last": last}
        return {name: url(n) for name, n in targets.items() if 1 <= n <= last and n != self.page}


def parse_paging(query: Mapping[str, str]) -> Paging:
    """Raises BadParameter."""
    page = whole(query, "page", 1, MOST_PAGES)
    return Paging(page, whole(query, "per_page", PER_PAGE, MOST_PER_PAGE))


def whole(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A number from 1 on; an empty one is the default. Raises BadParameter."""
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise BadParameter(f"{name} must be a whole number from 1 to {most}, not {text[:50]!r}.")
    return int(text)


def single(request: web.Request, known: Sequence[str] | None = None) -> dict[str, str]:
    """Returns the query's parameters. Raises BadParameter for one given more than once, or not among the known ones."""
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise BadParameter(f"{name[:50]} is given more than once.")
    if known is not None:
        check_known(request.query, known)
    return dict(request.query)


def check_known(query: Mapping[str, str], known: Sequence[str]) -> None:
    """Raises BadParameter naming what there is."""
    for name in query:
        if name not in known:
            raise BadParameter(f"There is no parameter {name[:50]!r}: there are {', '.join(known)}.")


def add_page_headers(response: web.Response, total: int, links: Mapping[str, str]) -> None:
    """How many there are, and where the others are, in headers."""
    response.headers["X-Total-Count"] = str(total)
    if links:
        response.headers["Link"] = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items())
