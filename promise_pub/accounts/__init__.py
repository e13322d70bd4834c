"""Users and their passwords, login sessions, and tokens for scripts.

Does: authenticates the sender of a request, and keeps users and tokens in PostgreSQL.
Never: stores or logs a password or a token, only their hashes; lets anybody in while the database does not answer.
Limits: 10 failed logins for a name, apart for each of the 5 addresses that it logged in from last, and 50 from an address
in 15 minutes, counted by each server for itself; 2 passwords hashed at a time.
Fails with: LoginFailed, TooManyTries, TokenRefused, AccountExists, AccountMissing, BadParameter, ServerBusy, DatabaseError.
"""
