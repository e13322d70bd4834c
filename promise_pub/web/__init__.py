"""The web server's face: forms in, pages and JSON out.

Does: parses a request, calls one service, and renders the answer as HTML, JSON or CSV under one address.
Never: needs a script in the browser; loads anything from another site; serves a path that its description lacks.
Limits: those of `http`. A run's stream sends at most 5 times a second.
Fails with: problem details, or a page that says what happened and what to do.
"""
