"""Usage as a page in a file, which needs no server, no rules and no scripts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from promise_pub.features.usage.chart import draw_chart
from promise_pub.features.usage.records import Usage
from promise_pub.features.usage.report import COLUMNS, cells, count_range, title_of
from promise_pub.presentation.svg import tag


def draw_document(usage: Usage, told: Sequence[str]) -> Markup:
    """Returns chart and table, below the sentences that a reader has to know."""
    title = title_of(usage.question)
    rows = [tag("tr", [tag("td", [str(cell)]) for cell in row]) for row in cells(usage)]
    head = tag("tr", [tag("th", [name], scope="col") for name in COLUMNS])
    body = [
        tag("h1", [title]),
        *(tag("p", [sentence]) for sentence in (count_range(usage), *told)),
        draw_chart(usage),
        tag("table", [tag("thead", [head]), tag("tbody", rows)]),
    ]
    meta = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    return Markup("<!doctype html>\n") + tag(
        "html", [tag("head", [meta, tag("title", [title])]), tag("body", body)], lang="en"
    )
