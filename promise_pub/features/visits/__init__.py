"""The record of visits: page hits, the sessions that they form, and the transitions from page to page in these.

Does: records each page that is shown; counts, draws and lists transitions and sessions; imports and deletes hits.
Never: records browsers that send DNT or Sec-GPC; stores cookies, passwords, tokens, or headers that are not listed; lets
a page wait until its hit is written; takes more of the disk than its quota and an eighth, whatever comes.
Limits: 20,000 hits or 32 MB wait while the database is away, further hits are lost and counted. Hits of a client beyond
its quota are not recorded, and beyond the disk's quota the oldest are deleted. An unknown cookie may delay a page by
0.1 s. A server that is killed loses the hits of the last second.
Fails with: SessionNotFound, ImportRefused, HitRefused. A page never fails because of it.
"""
