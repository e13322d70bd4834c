"""Who looked, and where they went next: page hits, the sessions they make, and the chains of pages these make.

Does: records each page that is shown; counts steps from page to page; draws, lists, imports and forgets them.
Never: records browsers that send DNT or Sec-GPC, or cookies, passwords and tokens; lets a page wait for the database to
have its hit.
Limits: 20,000 hits or 32 MB wait while the database is away, the rest is lost and counted. A cookie that is not known
may delay a page by 0.1 s. A server that is killed loses the last second.
Fails with: SessionNotFound, ImportRefused, HitRefused; a page never fails by it.
"""
