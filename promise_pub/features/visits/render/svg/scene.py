"""Everything that is in a picture, and where: in numbers, before it is written down. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from promise_pub.features.visits.render.svg.curves import Way, ways
from promise_pub.features.visits.render.svg.layout import MARGIN, Frame, Place, layout
from promise_pub.features.visits.render.svg.percentages import Number, numbers
from promise_pub.features.visits.render.svg.selection import Selection
from promise_pub.features.visits.render.svg.text_size import Box


@dataclass(frozen=True, slots=True)
class Picture:
    """`numbers` are by the places of their `ways`; all of it is within `box`."""

    frame: Frame
    places: tuple[Place, ...]
    ways: tuple[Way, ...]
    numbers: Mapping[int, Number]
    box: Box

    def leaving(self, source: int) -> Iterator[tuple[Way, Number | None]]:
        """The ways from a node, the strongest last: what is drawn last is on top."""
        own = [position for position, way in enumerate(self.ways) if way.edge.source == source]
        for position in sorted(own, key=lambda one: self.ways[one].edge.share):
            yield self.ways[position], self.numbers.get(position)


def picture(selection: Selection, order: Sequence[int], frame: Frame) -> Picture:
    """A picture in a frame's shape, with the pages on a ring in this order."""
    places = layout(selection, order, frame)
    drawn = ways(selection, places)
    written = numbers(drawn, places, frame)
    return Picture(frame, places, drawn, written, _extent(places, drawn, written, frame))


def _extent(places: Sequence[Place], drawn: Sequence[Way], written: Mapping[int, Number], frame: Frame) -> Box:
    """As wide as the frame, as high as what is in it."""
    boxes = [number.box for number in written.values()]
    boxes += [box for place in places for box in (place.box, place.label.box)]
    for way in drawn:
        heights = [way.curve.at(step / 8).imag for step in range(9)]
        boxes.append(Box(0, min(heights) - way.width, 0, max(heights) + way.width))
    top = round(min(box.top for box in boxes)) - MARGIN
    bottom = round(max(box.bottom for box in boxes)) + MARGIN
    return Box(-frame.width / 2, top, frame.width / 2, bottom)
