"""Events: what logs and other files of many types tell, as events on one line of time.

Does: makes events of the records of a file, each with its place in the file; tells which files are read on; reports on them.
Never: changes a file that it reads; guesses a type.
Limits: records of 1 MB; files of 64 MB that are read as a whole.
"""
