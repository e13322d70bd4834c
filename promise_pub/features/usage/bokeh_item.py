"""A program that makes a plot's data, given as JSON, the item that `Bokeh.embed.embed_item` takes.

It runs in a process of its own: while Bokeh is imported, and while all that it has loaded is searched for garbage, no other
thread runs. It imports nothing of promise-pub's.
"""

from __future__ import annotations

import json
import sys

from bokeh.core.types import ID
from bokeh.embed import json_item
from bokeh.models import DataRange1d, FactorRange
from bokeh.plotting import figure

HEIGHT = 300  # pixels; the width is that of the page around it
WIDTH_OF_BAR = 0.9  # of a period's
FAINT = 0.4  # the share of its colour that the bar of a period has which is not whole


def main() -> None:
    given = json.load(sys.stdin)
    plot = figure(
        x_range=FactorRange(factors=given["labels"]),
        y_range=DataRange1d(start=0),
        title=given["title"],
        height=HEIGHT,
        sizing_mode="stretch_width",
    )
    plot.yaxis.axis_label = given["unit"]
    plot.xaxis.major_label_orientation = "vertical"
    alphas = [1.0 if one else FAINT for one in given["complete"]]
    plot.vbar(x=given["labels"], top=given["values"], width=WIDTH_OF_BAR, fill_alpha=alphas)
    json.dump(json_item(plot, ID(given["target"])), sys.stdout)


if __name__ == "__main__":
    main()
