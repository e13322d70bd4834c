"""Events: what logs and other files of many types tell, as events on one line of time.

Does: reads files of sixteen types, each record once, with its place in the file and its identity; tells which part of a file
is new; keeps copies; hides secrets; makes reports of events.
Never: changes a file that it reads; guesses a type.
Limits: those of promise_pub.sources. Nothing is stored or shown yet: no command and no page leads here.
Fails with: what its rooms `sources` and `reports` fail with.
"""
