-- The queries of promise_pub/delivery/store/row_store.py.

-- name: lock_rows(run)$
-- Only one transaction at a time lists the rows of a run.
SELECT pg_advisory_xact_lock(hashtextextended('promise-pub rows ' || :run::text, 0));

-- name: has_groups(run_id)$
SELECT row_groups <> '[]' FROM runs WHERE id = :run_id;

-- name: write_groups(run_id, row_groups)!
UPDATE runs SET row_groups = :row_groups WHERE id = :run_id;

-- name: delete_chunks(run_id)!
DELETE FROM row_chunks WHERE run_id = :run_id;

-- name: find_chunks(run_id, groups, after, most)
-- The first chunks that begin after a line and hold a record of one of these groups.
SELECT * FROM row_chunks
WHERE run_id = :run_id AND line > :after AND held && :groups::smallint[]
ORDER BY line LIMIT :most;

-- name: find_chunk_at(run_id, line)^
-- The last chunk that begins on a line or before it.
SELECT * FROM row_chunks WHERE run_id = :run_id AND line <= :line ORDER BY line DESC LIMIT 1;

-- name: note_groups(run_id, state, finished_at, row_groups)^
-- Only of a run that has not gone on since it ended so.
UPDATE runs SET row_groups = :row_groups
WHERE id = :run_id AND state = :state AND finished_at IS NOT DISTINCT FROM :finished_at
RETURNING id;
