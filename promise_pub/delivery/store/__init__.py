"""Runs in PostgreSQL, and the locks by which servers take turns.

Does: records runs, their progress and rejected rows; holds the locks that name servers and give one of them the turn.
Never: writes to a run that another server has; takes a server for dead while its connection lives.
Limits: steps of a run wait a minute for a database that is away. A page of 100,000 runs takes milliseconds, by an index
for each order.
Fails with: DatabaseUnavailable when patience ends; DatabaseRefused, RightsMissing or SchemaMissing at once; RunTaken.
"""
