"""One run: its steps in the order of its mode, its checkpoint, its pace and its times. No I/O of its own.

Does: orders create, process, publish and remove; takes as many sessions as it needs; keeps a checkpoint, a record
boundary before which every row is settled.
Never: makes up for what a step of a profile missed; leaves a session behind without the report naming it.
Limits: over any stretch of time a pace lets through 20 ms or a slice more than was asked for. A run has at most 100
earlier sessions, and tells 20 reasons for rows sent again apart.
Fails with: whatever the consumer, the broker or the database raised; SessionLost where it cannot go on in its session.
"""
