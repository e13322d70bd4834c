-- The queries of promise_pub/delivery/store/ledger.py.

-- name: open_run({new})!
-- Adds a run. The ledger fills in its columns, among them one for each parameter.
INSERT INTO runs ({new}) VALUES ({values});

-- name: write_run(state, started_at, finished_at, seconds, rows_read, rows_rejected, published, confirmed, returned, nacked, resent, returned_rows, nacked_rows, session, db_count, verdict, explanation, confirm_ms, error_code, error_message, digest, resends, earlier, going, samples, read_bytes, findings, unconfirmed_rows, row_groups, id, server)^
-- Writes the present state of a run, if it is still this server's. Groups are written once, and stay until it is resumed.
UPDATE runs
SET state = :state, started_at = :started_at, finished_at = :finished_at, seconds = :seconds,
    rows_read = :rows_read, rows_rejected = :rows_rejected, published = :published, confirmed = :confirmed,
    returned = :returned, nacked = :nacked, resent = :resent,
    returned_rows = :returned_rows, nacked_rows = :nacked_rows,
    session = :session, db_count = :db_count, verdict = :verdict, explanation = :explanation,
    confirm_ms = :confirm_ms, error_code = :error_code, error_message = :error_message,
    digest = :digest, resends = :resends, earlier = :earlier, going = :going, samples = :samples, read_bytes = :read_bytes,
    findings = :findings, unconfirmed_rows = :unconfirmed_rows,
    row_groups = CASE WHEN :row_groups::jsonb = '[]' THEN row_groups ELSE :row_groups::jsonb END
WHERE id = :id AND server = :server
RETURNING id;

-- name: reopen_run(id, server)^
-- Queues a run that did not complete again; from now on it is this server's. Its rows will have other fates.
UPDATE runs
SET state = 'queued', finished_at = NULL, error_code = NULL, error_message = NULL, row_groups = '[]', server = :server
WHERE id = :id AND state IN ('failed', 'cancelled', 'interrupted')
RETURNING id;

-- name: known_runs(ids)
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]);

-- name: resumable_runs(ids)
-- Runs that did not complete, including those in progress.
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]) AND state <> 'completed';

-- name: servers_with_runs()
-- The servers that have runs in progress or waiting.
SELECT DISTINCT server FROM runs WHERE state IN ('queued', 'negotiating', 'publishing', 'draining');

-- name: interrupt_left_over(dead, nobody, server)
-- Interrupts the runs of dead servers, which are this server's from now on. `nobody`: also runs without a server.
WITH marked AS (
    UPDATE runs
    SET state = 'interrupted', finished_at = now(), error_code = 'interrupted',
        error_message = 'The server ended while the run was in progress.', server = :server
    WHERE state IN ('queued', 'negotiating', 'publishing', 'draining')
      AND (server = ANY (:dead::bigint[]) OR server IS NULL AND :nobody::boolean)
    RETURNING id, created_at
)
SELECT id FROM marked ORDER BY created_at, id;

-- name: add_rejected(run_id, lines, reasons, excerpts)!
-- Rejected rows of a run.
INSERT INTO rejected_rows (run_id, line, reason, excerpt)
SELECT :run_id, line, reason, excerpt
FROM unnest(:lines::bigint[], :reasons::text[], :excerpts::text[]) AS r (line, reason, excerpt)
ON CONFLICT DO NOTHING;

-- name: rejected_rows(run_id, most)
-- Rejected rows of a run, in the order of the file.
SELECT line, reason, excerpt FROM rejected_rows WHERE run_id = :run_id ORDER BY line LIMIT :most;

-- name: run(id)^
-- One run.
SELECT * FROM runs WHERE id = :id;

-- name: count_runs(state, verdict, mode, file)$
-- The number of runs on all pages (see run_pages.sql).
SELECT count(*) FROM runs
WHERE (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
  AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0);

-- name: ways_to_clear()^
-- Whether TRUNCATE and DELETE can empty employees, which may be a view or referenced, or closed to the role.
SELECT current_user AS role, relkind IN ('v', 'm') AS is_view,
       relkind IN ('r', 'p') AND has_table_privilege(pg_class.oid, 'TRUNCATE') AND NOT EXISTS (
           SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = pg_class.oid AND conrelid <> pg_class.oid
       ) AS truncates,
       -- pg_relation_is_updatable returns bits; this one is for DELETE.
       has_table_privilege(pg_class.oid, 'DELETE') AND pg_relation_is_updatable(pg_class.oid, true) & 16 <> 0 AS deletes
FROM pg_class WHERE pg_class.oid = to_regclass('employees');

-- name: truncate_employees()!
TRUNCATE employees;

-- name: delete_employees()!
DELETE FROM employees;

-- name: count_employees()$
SELECT count(*) FROM employees;

-- name: highest_employee_id()$
-- Every row saved after this moment gets a higher id.
SELECT coalesce(max(id), 0) FROM employees;

-- name: sum_mails(after)^
-- Over the mails of rows that came after an id: their number, and the sum of the first 60 bits of their hashes.
SELECT count(*) AS rows,
       coalesce(sum(('x' || left(md5(convert_to(mail, 'UTF8')), 15))::bit(60)::bigint), 0) AS hashes
FROM employees WHERE id > :after;
