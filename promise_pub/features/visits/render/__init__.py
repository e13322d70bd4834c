"""Transitions as text, DOT and SVG, with the names of pages made safe and short. Pure."""
