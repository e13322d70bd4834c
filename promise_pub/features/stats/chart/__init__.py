"""Charts of statistics as SVG: stacked bars of counts, or lines of percentiles, with marks of what users told. Pure.

`draw_chart` returns the same bytes for the same chart. ../static/chart.css has its look.
"""

from __future__ import annotations

from markupsafe import Markup

from promise_pub.features.stats.chart.drawing import draw
from promise_pub.features.stats.chart.series import Chart
from promise_pub.presentation.plots import HEIGHT
from promise_pub.presentation.svg import XMLNS, tag


def draw_chart(chart: Chart, height: float = HEIGHT) -> Markup:
    """Returns an <svg> for a page that has the rules of chart.css."""
    return draw(chart, height)


def draw_chart_file(chart: Chart, style: Markup) -> Markup:
    """Returns an SVG file with the rules of its <style> in it."""
    return draw(chart, HEIGHT, tag("style", [style]), xmlns=XMLNS)
