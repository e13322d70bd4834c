"""Proof offline: what a file gives when it is read as the file of a run, beside what the run's report says.

Does: reads a file as the run did, and works out its bytes, SHA-256, counts and digest again; names the first record that
is another.
Never: asks a server, a broker or a database; calls a file equal that differs in one byte.
Limits: memory does not grow with the file. A report without hashes of records shows that a file differs, not where; with
them, the place is exact in files of up to 4,096 records, and one of 4,096 blocks in larger ones.
Fails with: StoredFileError where the file cannot be read.
"""
