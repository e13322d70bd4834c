"""One run: its steps in the order of its mode, its checkpoint, its rate and its times. No I/O of its own.

Does: orders create, process, publish and remove; takes as many sessions as it needs; keeps a checkpoint, a record
boundary before which every row is settled.
Never: makes up for what a step of a profile missed; leaves a session behind without the report naming it.
Limits: over any period a rate lets through 20 ms or a slice more than was asked for. A run has at most 100 earlier
sessions, and distinguishes 20 reasons for rows sent again.
Fails with: the errors of the consumer, the broker and the database; SessionLost when its session cannot continue.
"""
