"""The measurements of the part `journal`: events taken from the bus, events read, statements of an idle server."""
