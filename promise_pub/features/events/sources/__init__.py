"""Types of sources, and how a file of one is opened, read on, and its records told apart.

Does: finds types; reads files, packed or not; makes events of records.
Never: knows the database; guesses a type.
"""
