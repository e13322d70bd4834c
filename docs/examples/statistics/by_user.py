"""Events by each user that they are about, as fedora-messaging has these in headers."""

from promise_pub.statistics import Counting

_HEADER = "fedora_messaging_user_"


class TrafficByUser(Counting):
    """Events by user."""

    name, columns = "traffic-by-user", ("user",)

    def count(self, event):
        for header in event.headers:
            if header.startswith(_HEADER):
                yield header.removeprefix(_HEADER)
