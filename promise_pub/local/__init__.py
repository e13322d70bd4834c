"""The local stack: what `serve --local` starts besides the web server, for sections of the configuration that are not set.

Does: starts PostgreSQL, a RabbitMQ node and the bundled consumer, restarts a service that ends, stops all of them; keeps
their data in a state folder, and finds these again when the folder was moved, copied or restored.
Never: deletes data; shares data between two folders; leaves a process behind, also after kill -9; listens beyond the
loopback interface; leaves a secret, a socket or a log open to other users; loosens anybody's rights to a folder; keeps
accounts in a database that nobody owns.
Limits: Linux; one server at a time for a state folder; PostgreSQL runs as nobody for root, RabbitMQ as the caller.
Fails with: PartMissing (not installed), PartFailed (does not start, or does not stay up), LocalStackError (the folder is in
use, another user's, or its data cannot be used), ConfigurationError (what is configured is wrong).
"""

from promise_pub.local.stack import LocalStack

__all__ = ["LocalStack"]
