"""The bundled consumer: a web server of its own that owns queues, reads rows from them and saves them.

Does: answers the five calls of the contract with all extensions; acknowledges a message once its row is committed.
Never: counts a row as saved that is in no table; counts a message with an id twice when the broker hands it over again.
Limits: batches of 1,000 rows. A session that nobody asks about for two hours is forgotten. A queue outlives its process
by a day.
Fails with: plain text and status 200 for what was asked wrongly; status 503 while the broker or the database is away.
"""
