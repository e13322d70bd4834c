"""Types of sources, and how their files are read: records are found, told apart and dated.

Does: finds types by name; reads files as streams, packed or not; finds the records of texts, of one size, of whole files and of
SQLite databases; gives each a key and a number; reads times without zones; tells which part of a file is new; keeps packed
copies of what was read; hides secrets.
Never: knows the database; guesses a type; lets a record that a type fails at cost another.
Limits: those of promise_pub.sources; a limit of bytes for each file, and of a minute for SQLite.
Fails with: NotAFile, UnknownType, UnusableType, WrongType, Damaged; EOFError for a file that has become shorter; LookupError for
an encoding that is none; OSError.
"""
