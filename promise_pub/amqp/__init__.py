"""AMQP, as the publisher, the bundled consumer and the journal share it.

Does: connects, with TLS where it is asked for; reads queues; takes confirms and deliveries from the wire by the hundred;
tells a refusal of the broker from a loss by its reply code.
Never: takes other frames, or half of one: these are aiormq's to read.
Limits: needs private parts of aiormq, all in `aiormq_internals`, so requirements.txt pins its range.
Fails with: BrokerUnreachable, BrokerRefused, BrokerLost, QueueGone.
"""
