"""promise-pub publishes a CSV through RabbitMQ and proves what became of every row."""

__version__ = "0.1.0"
