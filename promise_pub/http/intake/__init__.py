"""What a client may do to the server before a handler sees its request: connections, their number, size and speed."""
