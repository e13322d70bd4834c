"""Limits of clients before a handler sees their request: connections, and the number, size and speed of requests."""
