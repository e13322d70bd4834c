"""Events by topic."""

from promise_pub.statistics import Counting


class TrafficByTopic(Counting):
    """Events by topic."""

    name, columns = "traffic-by-topic", ("topic",)

    def count(self, event):
        yield event.topic
