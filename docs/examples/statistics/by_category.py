"""Events by category, the fourth word of topics as org.fedoraproject.prod.bodhi.update.comment has them."""

from datetime import timedelta

from promise_pub.statistics import Counting


class TrafficByCategory(Counting):
    """Events by the fourth word of their topic."""

    name, columns = "traffic-by-category", ("category",)
    intervals = tuple(timedelta(seconds=seconds) for seconds in (1, 15, 60, 3_600, 86_400))
    topics = ("*.*.*.*.#",)

    def count(self, event):
        yield event.words[3]
