"""What the publisher and the bundled consumer share of AMQP.

Does: takes confirms and deliveries from the wire by the hundred; tells a refusal of the broker from a loss by its code.
Never: takes other frames, or half of one: these are aiormq's to read.
Limits: leans on parts of aiormq that are not public, so requirements.txt pins its range.
Fails with: BrokerRefused for the reply codes of a refusal; callers turn the rest into BrokerLost.
"""
