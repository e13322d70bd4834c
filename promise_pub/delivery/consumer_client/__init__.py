"""HTTP talk with the consumer: five calls, and every way field consumers answer them.

Does: asks, reads what can be read out of the answer, and follows a session while a long call waits.
Never: asks `/create/` twice; follows a redirect; takes a count that was not told for zero, or another session's answer.
Limits: 10 s for a consumer that nobody reaches; 1 MB of an answer. Long calls take hours as long as the counts move.
Fails with: a kind of ConsumerError for each way of failing; ConsumerStalled when no count moved for `timeout +
stall_timeout` seconds, over all tries of a call.
"""
