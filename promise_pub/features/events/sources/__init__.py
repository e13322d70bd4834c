"""Types of sources, and how the records of a file are found, told apart and dated.

Does: finds records in the bytes of a text, however these come; gives each a key and a number; reads times without zones.
Never: knows the database; guesses a type; lets a record that a type fails at cost another.
Fails with: WrongType; LookupError for an encoding that is none.
"""
