"""Parts of a web server that aiohttp lacks. They know next to nothing of runs.

Does: recognises clients, checks logins, limits what a request may be, negotiates HTML, JSON and CSV, answers errors as
problem details, and asks services whether they are there.
Never: believes an X-Forwarded-For that no trusted proxy wrote; lets a new path be open by accident; logs a secret.
Limits: sizes and numbers of headers, parameters, fields and connections, each an option. A probe is waited for 2 s.
Fails with: kinds of RequestError and AccessError, each with its status and a stable code.
"""
