"""What `serve --local` starts besides the web server, and its life cycle.

Does: starts a PostgreSQL, a RabbitMQ node and the bundled consumer, starts again what ends by itself, stops all of it.
Never: outlives the command; touches a service of the machine, or another folder's data; deletes a database.
Limits: seven tries in a row to start a part again. A folder serves one command at a time.
Fails with: PartMissing, with the package to install; PartFailed, with the part's last words; LocalStackError.
"""

from promise_pub.local.stack import LocalStack

__all__ = ["LocalStack"]
