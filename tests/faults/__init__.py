"""Everything as processes, killed, cut off, stalled and filled up; one checker looks from outside."""
