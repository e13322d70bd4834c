"""The bundled consumer: a web server of its own that owns queues, reads rows from them and saves them.

Does: answers the five calls of the contract with all extensions; acknowledges a message once its row is committed.
Never: counts a row as saved that is in no table; counts a message with an id twice when the broker hands it over again;
does anything for another site's page, or on an address that others reach for a call without its token.
Limits: 100 open sessions; batches of 1,000 rows. A session that nobody asks about for two hours is forgotten. A queue outlives its process
by a day.
Fails with: plain text and status 200 for what was asked wrongly; status 401, 403 or 421 for who must not call; status 503
while the broker or the database is away, or too many sessions are open.
"""
