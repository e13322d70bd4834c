"""The types of sources that promise-pub has itself, each in a module of its own."""
