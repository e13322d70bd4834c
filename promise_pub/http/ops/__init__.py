"""Watching the server: health checks, metrics, the request log."""
