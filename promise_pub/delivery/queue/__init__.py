"""Runs and their turn: first come, first served, one at a time; cancelled, resumed, repeated, stopped.

Does: takes runs, carries out the one whose turn it is, and records its progress twice a second and at its end.
Never: ends a run because a client hung up; changes the file of a run that is repeated, which gets a copy.
Limits: `max_waiting` runs wait. Ends that could not be recorded are tried again, for the last 100 runs.
Fails with: TooManyWaiting, ServerStopping, NotCancellable, NotResumable, NotRepeatable, NotClearable, RunNotFound.
"""
