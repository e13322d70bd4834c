"""References to each user, over all time."""

from promise_pub.statistics import WHOLE, Counting


class Popularity(Counting):
    """References to each user since the first event."""

    name, columns, intervals = "popularity", ("user",), (WHOLE,)

    def count(self, event):
        yield from event.data.get("mentions", ())
