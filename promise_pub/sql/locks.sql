-- The queries of promise_pub/delivery/store/locks.py. Locks last as long as their connection.

-- name: still_there()$
SELECT 1;

-- name: own_backend()^
-- The server process of this connection.
SELECT pid, backend_start AS started FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: end_backend(pid, started)$
-- Ends the server process of an earlier connection, if it still runs.
SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :started;

-- name: lock_server(server)$
-- True when no other server lives under this name.
SELECT pg_try_advisory_lock(:server);

-- name: unlock_server(server)$
SELECT pg_advisory_unlock(:server);

-- name: lock_turn()$
-- True when no other server on this database has the turn. A lock of two keys never collides with one of a server's name.
SELECT pg_try_advisory_lock(hashtext('promise-pub'), hashtext('turn'));

-- name: unlock_turn()$
SELECT pg_advisory_unlock(hashtext('promise-pub'), hashtext('turn'));
