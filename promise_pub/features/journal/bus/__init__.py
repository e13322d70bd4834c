"""The bus: a topic exchange of RabbitMQ, from which the journal takes events, and on which it publishes promise-pub's own.

Does: declares exchange, queue and bindings; appends messages in batches and acknowledges them once they are committed;
publishes own events with publisher confirms, from the position where the last server left off, by turns with others.
Never: requeues a message; ends for a fault of the broker or the database, however long it lasts; logs what a message says.
Limits: MAX_TAKEN messages in hand, without bodies longer than MAX_EVENT; one that is longer is whole in memory for a moment.
A kill takes or publishes some again: those with a message id are known by it.
Fails with: kinds of BrokerError and DatabaseError, all of which are logged and tried again.
"""
