-- The queries of the bundled consumer.

-- name: check_employees()$
-- Fails when the table is missing or must not be read; otherwise it costs nothing.
SELECT count(*) FROM (SELECT FROM employees LIMIT 1) AS any_row;

-- name: save_rows(names, mails)^
-- Saves the rows that do not exist yet. Returns their number, and the number of the transaction, to find out later
-- whether it was committed. Of two rows with one mail in a call the first is saved. Where some were saved and others
-- not, it also returns those saved: names and mails, in the same order.
WITH added AS (
    INSERT INTO employees (name, mail)
    SELECT * FROM unnest(:names::text[], :mails::text[])
    ON CONFLICT DO NOTHING
    RETURNING name, mail
), counted AS (
    SELECT count(*) AS saved FROM added
)
SELECT
    saved,
    pg_current_xact_id()::text AS transaction,
    CASE WHEN saved BETWEEN 1 AND cardinality(:mails::text[]) - 1 THEN ARRAY(SELECT name::text FROM added) END AS names,
    CASE WHEN saved BETWEEN 1 AND cardinality(:mails::text[]) - 1 THEN ARRAY(SELECT mail::text FROM added) END AS mails
FROM counted;

-- name: transaction_status(transaction)$
-- Returns 'committed', 'aborted', 'in progress', or null for a transaction of too long ago. Fails for a number that is
-- not used yet: the database was killed before it had written the number to disk.
SELECT pg_xact_status(:transaction::text::xid8);

-- name: holds_rows_of(transaction, mails)$
-- Tells whether the transaction saved any of these rows.
SELECT EXISTS (
    SELECT FROM employees
    WHERE mail = ANY (:mails::text[]) AND xmin = :transaction::text::xid8::xid
);
