"""Pages and data of runs: the form, the history, one run, its stream, runs side by side."""
