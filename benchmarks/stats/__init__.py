"""What the part about statistics measures."""
