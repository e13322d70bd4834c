"""Rooms beside the heart, each with tables, pages and rules of its own. `app.py` lists them."""
