"""Jobs: what is done by the clock, or when somebody asks, one run at a time over all servers, and what became of it.

Does: queues a run for every schedule that is due, one for all that were missed; runs it in steps that are each one
transaction; tries again what failed or was cut off; shows, starts, cancels and pauses; sweeps old runs.
Never: runs a job twice at once; lets a server that lost its run write for it; loses a due time while servers are down.
Limits: two runs at once on a server; a run is tried five times; runs are kept for 90 days, unless set.
Fails with: JobNotFound, JobRunNotFound, JobWaiting, JobEnded, BadParameter, DatabaseError.
"""
