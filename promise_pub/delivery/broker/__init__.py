"""Rows out: published on as many connections as it takes, with publisher confirms.

Does: publishes persistent, mandatory messages, 256 to a write. After a lost connection it publishes what had no confirm
again, under the same `message_id`.
Never: counts a returned row as confirmed; has more than `window` messages unconfirmed.
Limits: two minutes without a row settled since a loss end the run, however many connections came about meanwhile.
Fails with: BrokerUnreachable, BrokerLost; BrokerRefused at once, in the broker's words; QueueGone.
"""
