"""What the part `journal` measures: events taken from the bus, events read, statements of an idle server."""
