"""AMQP as publishers and readers of queues share it: connections, frames, and a channel that reads. It knows no run."""
