"""A promise-pub server as its command line sees it.

Does: uploads a file, follows a run over server-sent events, and turns answers, a proxy's too, into runs or words.
Never: sends a token to another host that an answer redirects to; takes a proxy's answer for the server's.
Limits: a server that goes away is waited for, for a minute.
Fails with: ServerAway when it stays away; ServerAnswerError for an answer that is no run; the server's own problems.
"""
