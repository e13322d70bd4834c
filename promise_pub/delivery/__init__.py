"""The heart: one run from a stored file to its verdict."""
