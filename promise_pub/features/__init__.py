"""Rooms beside the heart. Each has tables, pages and rules of its own."""
