"""The journal: every event once, numbered in the order of commits; and the bus that it is fed by and speaks on.

Does: moves events out of the outbox, takes them from the bus, from `POST /journal` and from files; lists, follows, shows
and exports them; publishes promise-pub's own on the bus; sweeps those that are too old.
Never: changes an event; numbers one before it is committed, or leaves a number out; acknowledges a message of the bus
before it is committed, or requeues one for ever; takes the word of the bus for an event of promise-pub itself.
Limits: an event without a message id is counted at least once; the broker drops foreign events beyond the limit of the
queue while nobody takes them.
Fails with: kinds of DatabaseError and BrokerError, none of which reaches a run.
"""
