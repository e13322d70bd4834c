"""Figures for Prometheus. Nothing is counted at a row: what a run has grown by is added when it is asked for."""
