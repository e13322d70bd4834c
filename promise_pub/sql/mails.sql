-- The queries of promise_pub/delivery/store/mails.py, all of them for one transaction.

-- name: create_run_mails()#
-- The mails of one file; null for a row that employees cannot hold. The database sorts them, on disk where there are many.
CREATE TEMPORARY TABLE run_mails (line bigint NOT NULL, mail text, earlier boolean NOT NULL, cell integer) ON COMMIT DROP;

-- name: analyze_run_mails()#
-- Without this the planner expects few mails and looks up each in employees: five times as slow.
ANALYZE run_mails;

-- name: count_repeats(highest_before)^
-- Of the session's rows: mails that stand on an earlier row, distinct mails that employees held before the session, and
-- distinct mails that it got since. Of the rows of earlier sessions: distinct mails that employees lacks.
SELECT coalesce(sum(times - 1) FILTER (WHERE times > 0), 0)::bigint           AS in_file,
       count(*) FILTER (WHERE times > 0 AND employees.id <= :highest_before) AS held_before,
       count(*) FILTER (WHERE times > 0 AND employees.id > :highest_before)  AS gained,
       count(*) FILTER (WHERE earlier AND employees.id IS NULL)              AS gone
FROM (
    SELECT mail, count(*) FILTER (WHERE NOT earlier) AS times, bool_or(earlier) AS earlier
    FROM run_mails WHERE mail IS NOT NULL GROUP BY mail
) AS mails
LEFT JOIN employees USING (mail);

-- name: compare_rows(held_up_to)!
-- Every row that the consumer received, beside employees.
CREATE TEMPORARY TABLE run_rows ON COMMIT DROP AS
SELECT line, cell, first,
       CASE WHEN mail IS NULL THEN 'long'
            WHEN first < line THEN 'repeat'
            WHEN employees.id IS NULL THEN 'absent'
            WHEN employees.id <= :held_up_to THEN 'held'
            ELSE 'new' END AS shown
FROM (
    SELECT line, mail, cell, min(line) OVER (PARTITION BY mail) AS first FROM run_mails WHERE cell IS NOT NULL
) AS received
LEFT JOIN employees USING (mail);

-- name: count_cells()
SELECT cell, shown, count(*) AS rows FROM run_rows GROUP BY cell, shown;

-- name: list_exceptions()
SELECT line, shown, first FROM run_rows WHERE shown <> 'new' ORDER BY line;
