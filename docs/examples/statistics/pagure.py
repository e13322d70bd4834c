"""Events of a forge of source code: all, by project, by user. One entry point names the three of them."""

from datetime import timedelta

from promise_pub.statistics import Counting


class Pagure(Counting):
    """Events of Pagure."""

    name, topics, intervals = "pagure", ("io.pagure.prod.#",), (timedelta(days=1),)

    def count(self, event):
        yield ()


class PagureByProject(Counting):
    """Events of Pagure by project."""

    name, columns = "pagure-by-project", ("project",)
    topics, intervals = ("io.pagure.prod.#",), (timedelta(days=1),)

    def count(self, event):
        # The project stands in it, or in what it is about.
        parts = (event.data, event.data.get("pullrequest"), event.data.get("issue"))
        found = [part["project"]["name"] for part in parts if part and "project" in part]
        yield from found[:1]


class PagureByUser(Counting):
    """Events of Pagure by user."""

    name, columns = "pagure-by-user", ("user",)
    topics, intervals = ("io.pagure.prod.#",), (timedelta(days=1),)

    def count(self, event):
        yield event.data["agent"]


STATISTICS = (Pagure, PagureByProject, PagureByUser)
