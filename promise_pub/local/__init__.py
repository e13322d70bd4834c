"""What `serve --local` starts besides the web server, and its life cycle."""

from promise_pub.local.stack import LocalStack

__all__ = ["LocalStack"]
