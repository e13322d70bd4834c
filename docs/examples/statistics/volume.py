"""Events each second, each five seconds, each minute."""

from datetime import timedelta

from promise_pub.statistics import Counting


class Traffic(Counting):
    """Events."""

    name = "traffic"
    intervals = (timedelta(seconds=1), timedelta(seconds=5), timedelta(minutes=1))

    def count(self, event):
        yield ()
