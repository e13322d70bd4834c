-- The queries of promise_pub/delivery/store/ledger.py.

-- name: write_run(state, started_at, finished_at, seconds, rows_read, rows_rejected, published, confirmed, returned, nacked, resent, returned_rows, nacked_rows, session, db_count, verdict, explanation, confirm_ms, error_code, error_message, digest, resends, earlier, going, samples, read_bytes, id, server)^
-- The run as it is now, if it is still this server's.
UPDATE runs
SET state = :state, started_at = :started_at, finished_at = :finished_at, seconds = :seconds,
    rows_read = :rows_read, rows_rejected = :rows_rejected, published = :published, confirmed = :confirmed,
    returned = :returned, nacked = :nacked, resent = :resent,
    returned_rows = :returned_rows, nacked_rows = :nacked_rows,
    session = :session, db_count = :db_count, verdict = :verdict, explanation = :explanation,
    confirm_ms = :confirm_ms, error_code = :error_code, error_message = :error_message,
    digest = :digest, resends = :resends, earlier = :earlier, going = :going, samples = :samples, read_bytes = :read_bytes
WHERE id = :id AND server = :server
RETURNING id;

-- name: reopen_run(id, server)^
-- A run that did not complete waits for its turn again, and is this server's from now on.
UPDATE runs
SET state = 'queued', finished_at = NULL, error_code = NULL, error_message = NULL, server = :server
WHERE id = :id AND state IN ('failed', 'cancelled', 'interrupted')
RETURNING id;

-- name: known_runs(ids)
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]);

-- name: resumable_runs(ids)
-- Those that did not complete, those that are going included.
SELECT id FROM runs WHERE id = ANY (:ids::uuid[]) AND state <> 'completed';

-- name: servers_of_going()
-- The servers that have runs going or waiting.
SELECT DISTINCT server FROM runs WHERE state IN ('queued', 'negotiating', 'publishing', 'draining');

-- name: interrupt_left_over(dead, nobody, server)
-- Runs of servers that ended without a word; they are this server's from now on.
WITH marked AS (
    UPDATE runs
    SET state = 'interrupted', finished_at = now(), error_code = 'interrupted',
        error_message = 'The server ended while the run was going.', server = :server
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

-- A page of the history, in one query for each order, so that each walks an index of its own (see scheme.sql) and reads
-- nothing else but the runs of the page: of 100,000 runs, filtered or not, the first page or the last.

-- name: runs_by_started(state, verdict, mode, file, descending, most, skip)
-- By when they came, the newest first or last.
WITH page AS (
    (SELECT id, row_number() OVER (ORDER BY created_at DESC, id DESC) AS place
    FROM runs
    WHERE :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY created_at DESC, id DESC LIMIT :most OFFSET :skip)
    UNION ALL
    (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place
    FROM runs
    WHERE NOT :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY created_at, id LIMIT :most OFFSET :skip)
)
SELECT runs.* FROM page JOIN runs USING (id) ORDER BY place;

-- name: runs_by_file(state, verdict, mode, file, descending, most, skip)
-- By the names of their files.
WITH page AS (
    (SELECT id, row_number() OVER (ORDER BY file_folded COLLATE "C" DESC, id DESC) AS place
    FROM runs
    WHERE :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY file_folded COLLATE "C" DESC, id DESC LIMIT :most OFFSET :skip)
    UNION ALL
    (SELECT id, row_number() OVER (ORDER BY file_folded COLLATE "C", id) AS place
    FROM runs
    WHERE NOT :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY file_folded COLLATE "C", id LIMIT :most OFFSET :skip)
)
SELECT runs.* FROM page JOIN runs USING (id) ORDER BY place;

-- name: runs_by_sent(state, verdict, mode, file, descending, most, skip)
-- By rows that were confirmed.
WITH page AS (
    (SELECT id, row_number() OVER (ORDER BY confirmed DESC, id DESC) AS place
    FROM runs
    WHERE :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY confirmed DESC, id DESC LIMIT :most OFFSET :skip)
    UNION ALL
    (SELECT id, row_number() OVER (ORDER BY confirmed, id) AS place
    FROM runs
    WHERE NOT :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY confirmed, id LIMIT :most OFFSET :skip)
)
SELECT runs.* FROM page JOIN runs USING (id) ORDER BY place;

-- name: runs_by_seconds(state, verdict, mode, file, descending, most, skip)
-- By how long they took.
WITH page AS (
    (SELECT id, row_number() OVER (ORDER BY total_seconds DESC, id DESC) AS place
    FROM runs
    WHERE :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY total_seconds DESC, id DESC LIMIT :most OFFSET :skip)
    UNION ALL
    (SELECT id, row_number() OVER (ORDER BY total_seconds, id) AS place
    FROM runs
    WHERE NOT :descending::boolean
      AND (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
      AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0)
    ORDER BY total_seconds, id LIMIT :most OFFSET :skip)
)
SELECT runs.* FROM page JOIN runs USING (id) ORDER BY place;

-- name: count_runs(state, verdict, mode, file)$
-- How many runs there are of those.
SELECT count(*) FROM runs
WHERE (:state::text IS NULL OR state = :state) AND (:verdict::text IS NULL OR verdict = :verdict)
  AND (:mode::text IS NULL OR mode = :mode) AND (:file = '' OR strpos(file_folded, (SELECT lower(:file))) > 0);

-- name: ways_to_clear()^
-- What of TRUNCATE and DELETE would empty employees: it may be a view, or referred to, and the role may lack rights.
SELECT current_user AS role, relkind IN ('v', 'm') AS is_view,
       relkind IN ('r', 'p') AND has_table_privilege(pg_class.oid, 'TRUNCATE') AND NOT EXISTS (
           SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = pg_class.oid AND conrelid <> pg_class.oid
       ) AS truncates,
       -- Of the bits that tell what can be done, the one for DELETE.
       has_table_privilege(pg_class.oid, 'DELETE') AND pg_relation_is_updatable(pg_class.oid, true) & 16 <> 0 AS deletes
FROM pg_class WHERE pg_class.oid = to_regclass('employees');

-- name: truncate_employees()!
TRUNCATE employees;

-- name: delete_employees()!
DELETE FROM employees;

-- name: count_employees()$
SELECT count(*) FROM employees;

-- name: highest_employee()$
-- Every row saved after this moment gets a higher id.
SELECT coalesce(max(id), 0) FROM employees;

-- name: create_run_mails()#
-- The mails of one file, for the length of a transaction; the database sorts them, on disk where they are many.
CREATE TEMPORARY TABLE run_mails (mail text NOT NULL, earlier boolean NOT NULL) ON COMMIT DROP;

-- name: analyze_run_mails()#
-- Without it the database expects few of them, and looks each up in employees by itself: five times as slow.
ANALYZE run_mails;

-- name: count_repeats(highest_before)^
-- Of the session's rows: mails that stand in the file before, distinct mails that employees held before, and those that it
-- got since. Of the rows of earlier sessions: distinct mails that it lacks.
SELECT coalesce(sum(times - 1) FILTER (WHERE times > 0), 0)::bigint           AS in_file,
       count(*) FILTER (WHERE times > 0 AND employees.id <= :highest_before) AS held_before,
       count(*) FILTER (WHERE times > 0 AND employees.id > :highest_before)  AS gained,
       count(*) FILTER (WHERE earlier AND employees.id IS NULL)              AS gone
FROM (
    SELECT mail, count(*) FILTER (WHERE NOT earlier) AS times, bool_or(earlier) AS earlier
    FROM run_mails GROUP BY mail
) AS mails
LEFT JOIN employees USING (mail);
