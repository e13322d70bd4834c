"""Who may in: users and their passwords, sessions, tokens for scripts.

Does: checks logins, session cookies and tokens against the database at each request, so a removed user is out at once.
Never: keeps a password or a token as it is; lets anybody in while the database cannot be asked.
Limits: 10 failed logins for a name, 50 from an address, within 15 minutes. Passwords are hashed in a thread.
Fails with: LoginFailed, TooManyTries, TokenRefused, ServerBusy; AccountExists, AccountMissing; kinds of DatabaseError.
"""
