-- What the bundled consumer asks of PostgreSQL.

-- name: check_employees()$
-- Fails when the table is missing or may not be read; costs nothing otherwise.
SELECT count(*) FROM (SELECT FROM employees LIMIT 1) AS any_row;

-- name: save_rows(names, mails)^
-- Saves what is not there yet: how many rows that were, and the transaction they are in, to ask later whether it was
-- committed. A mail that stands twice in one call is saved as its first row has it.
WITH saved AS (
    INSERT INTO employees (name, mail)
    SELECT * FROM unnest(:names::text[], :mails::text[])
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) AS saved, pg_current_xact_id()::text AS transaction FROM saved;

-- name: transaction_status(transaction)$
-- 'committed', 'aborted', 'in progress', or null when it is too long ago to tell. Fails when the database has not come to
-- that number: it was killed before it had written it down.
SELECT pg_xact_status(:transaction::text::xid8);

-- name: holds_rows_of(transaction, mails)$
-- Whether any of these rows is of that transaction.
SELECT EXISTS (
    SELECT FROM employees
    WHERE mail = ANY (:mails::text[]) AND xmin = :transaction::text::xid8::xid
);
