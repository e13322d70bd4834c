"""The measurements of the part `usage`: days condensed, and periods counted."""
