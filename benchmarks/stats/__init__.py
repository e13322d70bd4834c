"""Measurements of the part about statistics."""
