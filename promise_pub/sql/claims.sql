-- The queries of promise_pub/delivery/store/locks.py. Locks last as long as their connection.

-- name: still_there()$
SELECT 1;

-- name: own_backend()^
-- What serves this connection.
SELECT pid, backend_start AS started FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: end_backend(pid, started)$
-- Ends what served an earlier connection of ours, if it still does.
SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :started;

-- name: lock_server(server)$
-- Whether nobody else lives under this name.
SELECT pg_try_advisory_lock(:server);

-- name: unlock_server(server)$
SELECT pg_advisory_unlock(:server);

-- name: lock_turn()$
-- Whether no other server on this database has the turn. Two keys: a server's name, which is one, never meets them.
SELECT pg_try_advisory_lock(hashtext('promise-pub'), hashtext('turn'));

-- name: unlock_turn()$
SELECT pg_advisory_unlock(hashtext('promise-pub'), hashtext('turn'));
