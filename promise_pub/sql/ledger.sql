-- The queries of promise_pub/delivery/store/ledger.py.

-- name: open_run({new}, told, {events})!
-- Adds a run. The ledger fills in its columns, among them one for each parameter.
WITH written AS (
    INSERT INTO runs ({new}, told) VALUES ({values}, coalesce(:told::jsonb, '{}')) RETURNING id
)
{insert_events};

-- name: write_run(state, started_at, finished_at, seconds, rows_read, rows_rejected, published, confirmed, returned, nacked, resent, returned_rows, nacked_rows, session, db_count, verdict, explanation, confirm_ms, error_code, error_message, digest, resends, earlier, going, samples, read_bytes, findings, unconfirmed_rows, row_groups, id, server, told, {events})^
-- Writes the present state of a run, if it is still this server's. Groups are written once, and stay until it is resumed.
WITH written AS (
UPDATE runs
SET state = :state, started_at = :started_at, finished_at = :finished_at, seconds = :seconds,
    rows_read = :rows_read, rows_rejected = :rows_rejected, published = :published, confirmed = :confirmed,
    returned = :returned, nacked = :nacked, resent = :resent,
    returned_rows = :returned_rows, nacked_rows = :nacked_rows,
    session = :session, db_count = :db_count, verdict = :verdict, explanation = :explanation,
    confirm_ms = :confirm_ms, error_code = :error_code, error_message = :error_message,
    digest = :digest, resends = :resends, earlier = :earlier, going = :going, samples = :samples, read_bytes = :read_bytes,
    findings = :findings, unconfirmed_rows = :unconfirmed_rows,
    row_groups = CASE WHEN :row_groups::jsonb = '[]' THEN row_groups ELSE :row_groups::jsonb END,
    told = coalesce(:told::jsonb, told)
WHERE id = :id AND server = :server
RETURNING id
), noted AS (
    {insert_events} WHERE EXISTS (SELECT FROM written)
)
SELECT id FROM written;

-- name: reopen_run(id, server, number, told, {events})^
-- Queues a run that did not complete again; from now on it is this server's. Its rows will have other fates. `number`: of
-- the last event that was told of it when its resumption was decided.
WITH written AS (
    UPDATE runs
    SET state = 'queued', finished_at = NULL, error_code = NULL, error_message = NULL, row_groups = '[]',
        server = :server, told = coalesce(:told::jsonb, told)
    WHERE id = :id AND state IN ('failed', 'cancelled', 'interrupted')
      AND coalesce((told ->> 'number')::bigint, 0) = :number
    RETURNING id
), noted AS (
    {insert_events} WHERE EXISTS (SELECT FROM written)
)
SELECT id FROM written;

-- name: known_runs(ids)
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]);

-- name: resumable_runs(ids)
-- Runs that did not complete, including those in progress.
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]) AND state <> 'completed';

-- name: servers_with_runs()
-- The servers that have runs in progress or waiting.
SELECT DISTINCT server FROM runs WHERE state IN ('queued', 'negotiating', 'publishing', 'draining');

-- name: hold_left_over(dead, nobody)
-- The runs of dead servers, oldest first, held until the end of the transaction. `nobody`: also runs without a server.
SELECT * FROM runs
WHERE state IN ('queued', 'negotiating', 'publishing', 'draining')
  AND (server = ANY (:dead::bigint[]) OR server IS NULL AND :nobody::boolean)
ORDER BY created_at, id
FOR UPDATE;

-- name: hold_untold(most)
-- Runs that have ended otherwise than was told, or of which nothing was told, held until the end of the transaction; not those that others hold.
SELECT * FROM runs
WHERE state IN ('completed', 'failed', 'cancelled', 'interrupted') AND told ->> 'state' IS DISTINCT FROM state
ORDER BY created_at, id LIMIT :most
FOR UPDATE SKIP LOCKED;

-- name: interrupt(ids, at, server, code, message)!
-- Ends runs that are held, which are this server's from now on.
UPDATE runs
SET state = 'interrupted', finished_at = :at, error_code = :code, error_message = :message, server = :server
WHERE id = ANY (:ids::uuid[]);

-- name: note_told(ids, tolds, {events})!
-- Notes what is told of runs that are held, and tells it.
WITH noted AS (
    UPDATE runs SET told = coalesce(now.told, runs.told) FROM unnest(:ids::uuid[], :tolds::jsonb[]) AS now (id, told) WHERE runs.id = now.id
)
{insert_events};

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

-- name: hold_employees()#
-- Keeps others from the table until the end of the transaction.
LOCK TABLE employees IN ACCESS EXCLUSIVE MODE;

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
