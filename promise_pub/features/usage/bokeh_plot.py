"""Usage as a plot that Bokeh embeds elsewhere, where the extra promise-pub[bokeh] is installed.

Bokeh is imported when somebody asks for it: that takes a second or two. Call it in a thread.
"""

from __future__ import annotations

from typing import Any

from promise_pub.features.usage.chart import MOST_DRAWN
from promise_pub.features.usage.errors import BokehMissing
from promise_pub.features.usage.records import Usage
from promise_pub.features.usage.report import UNITS, title_of

HEIGHT = 300  # pixels; the width is that of the page around it
TARGET = "myplot"  # the id of the element that the plot is put in
WIDTH_OF_BAR, FAINT = 0.9, 0.4  # of a period's width; the share of the colour that a period has which is not whole


def as_bokeh(usage: Usage) -> dict[str, Any]:
    """Returns the item of `Bokeh.embed.embed_item`, for the newest MOST_DRAWN periods. Raises BokehMissing."""
    try:
        from bokeh.core.types import ID
        from bokeh.embed import json_item
        from bokeh.models import DataRange1d, FactorRange
        from bokeh.plotting import figure
    except ImportError:
        raise BokehMissing from None
    periods = usage.periods[-MOST_DRAWN:]
    names = [one.name for one in periods]
    plot = figure(
        x_range=FactorRange(factors=names),
        y_range=DataRange1d(start=0),
        title=title_of(usage.question),
        height=HEIGHT,
        sizing_mode="stretch_width",
    )
    plot.xaxis.axis_label, plot.yaxis.axis_label = str(usage.question.aggregate), UNITS[usage.question.action]
    plot.xaxis.major_label_orientation = "vertical"
    alphas = [1.0 if one.complete else FAINT for one in periods]
    plot.vbar(x=names, top=[one.users for one in periods], width=WIDTH_OF_BAR, fill_alpha=alphas)
    return dict(json_item(plot, ID(TARGET)))
