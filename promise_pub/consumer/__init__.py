"""The bundled consumer: a web server of its own that owns queues, reads rows from them and saves them."""
