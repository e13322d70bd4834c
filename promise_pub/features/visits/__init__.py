"""Who looked, and where they went next: page hits, the sessions they make, and the chains of pages these make."""
