"""Events: what logs and other files of many types tell, as events on one line of time.

Does: finds the records of a file, makes an event of each, with its place in the file and its identity; reports on events.
Never: changes a file that it reads; guesses a type.
Limits: texts of lines so far, with records of 1 MB. Nothing is stored or shown yet.
Fails with: WrongType for a file that is not of its type; ValueError for events that are not in the order of their times.
"""
