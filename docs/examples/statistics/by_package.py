"""Events by each package that they are about, as fedora-messaging has these in headers."""

from promise_pub.statistics import Counting

_HEADER = "fedora_messaging_rpm_"


class TrafficByPackage(Counting):
    """Events by package."""

    name, columns = "traffic-by-package", ("package",)

    def count(self, event):
        for header in event.headers:
            if header.startswith(_HEADER):
                yield header.removeprefix(_HEADER)
