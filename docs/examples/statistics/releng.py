"""The newest state of everything that is released, for a board: composes, updates, cloud images, image builds."""

from promise_pub.statistics import Latest


class Releng(Latest):
    """The newest state of each compose, update, cloud image and image build."""

    name, columns = "releng", ("category", "constraint")
    topics = ("*.*.*.compose.#", "*.*.*.bodhi.updates.#", "*.*.*.fedimg.image.#", "*.*.*.buildsys.image.#")
    layout = {"groups": {"Composes": ["compose"], "Updates": ["bodhi"], "Images": ["fedimg", "buildsys"]}}

    def entry(self, event):
        # As in org.fedoraproject.prod.compose.rawhide.complete: of what, which one, and its state.
        _, _, _, category, *constraint, state = event.words
        yield (category, ".".join(constraint)), {"state": state, **event.data}
