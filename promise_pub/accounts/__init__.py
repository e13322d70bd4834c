"""Who may in: users and their passwords, sessions, tokens for scripts."""
