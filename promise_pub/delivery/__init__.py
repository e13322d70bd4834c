"""The heart: one run, from a stored file to its verdict.

Does: stores a file, waits for its turn, opens a session with the consumer, publishes every row with confirms, judges.
Never: runs two runs at once on one database; calls a promise kept on a guess; loses a row in silence.
Limits: SIGTERM ends a run within 10 s, a cancellation within 2 s. Memory does not grow with the number of rows.
Fails with: kinds of RequestError before there is a run; ConsumerError, BrokerError, DatabaseError and StoredFileError
end a run as failed, with their code. It can then be resumed.
"""
