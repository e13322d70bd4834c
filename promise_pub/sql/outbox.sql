-- The queries of promise_pub/outbox.py.

-- name: put({events})!
{insert_events};
