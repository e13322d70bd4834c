"""The API and the messages, described: OpenAPI, AsyncAPI, and a page of both."""
