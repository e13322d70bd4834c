"""Pagination: which page of a list a request asks for, and the links to the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from promise_pub.errors import BadParameter

PER_PAGE = 50
MAX_PER_PAGE = 500
MAX_PAGE = 10**9


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a list, counted from 1."""

    page: int = 1
    per_page: int = PER_PAGE

    @property
    def skip(self) -> int:
        """Returns the number of items on the pages before."""
        return (self.page - 1) * self.per_page

    def pages(self, total: int) -> int:
        """Returns the number of pages that `total` items take."""
        return max(1, -(-total // self.per_page))

    def links(self, total: int, url: Callable[[int], str]) -> dict[str, str]:
        """Returns the URLs of the other pages by their relation to this one; `url` makes that of a page number."""
        last = self.pages(total)
        targets = {"first": 1, "prev": self.page - 1, "next": self.page + 1, "last": last}
        return {name: url(n) for name, n in targets.items() if 1 <= n <= last and n != self.page}


def parse_paging(query: Mapping[str, str]) -> Paging:
    """Raises BadParameter."""
    page = parse_positive(query, "page", 1, MAX_PAGE)
    return Paging(page, parse_positive(query, "per_page", PER_PAGE, MAX_PER_PAGE))


def parse_positive(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Parses a number from 1 to `most`; an empty one is the default. Raises BadParameter."""
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise BadParameter(f"{name} must be a whole number from 1 to {most}, not {text[:50]!r}.")
    return int(text)


def parse_query(request: web.Request, known: Sequence[str] | None = None) -> dict[str, str]:
    """Returns the query's parameters. Raises BadParameter for one that is repeated or not `known`."""
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise BadParameter(f"{name[:50]} is given more than once.")
    if known is not None:
        check_known(request.query, known)
    return dict(request.query)


def check_known(query: Mapping[str, str], known: Sequence[str]) -> None:
    """Raises BadParameter, naming the known parameters, for another one."""
    for name in query:
        if name not in known:
            others = f"there are {', '.join(known)}" if known else "this takes none"
            raise BadParameter(f"There is no parameter {name[:50]!r}: {others}.")


def add_page_headers(response: web.Response, total: int, links: Mapping[str, str]) -> None:
    """Adds the headers with the number of items and the links to other pages."""
    response.headers["X-Total-Count"] = str(total)
    if links:
        response.headers["Link"] = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items())
