-- The queries of promise_pub/db_checks.py.

-- name: facts()^
-- Facts about the database that do not depend on its tables.
SELECT current_database() AS database, current_user AS role,
       current_setting('server_version') AS version, current_setting('server_version_num')::integer / 10000 AS major,
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS standby, current_setting('transaction_read_only')::boolean AS read_only;

-- name: backend()$
-- Returns the process that serves this transaction.
SELECT pg_backend_pid();

-- name: lacking(tables, columns)
-- Returns those of the columns that do not exist.
SELECT tables AS "table", columns AS "column", to_regclass(tables) IS NOT NULL AS in_table
FROM unnest(:tables::text[], :columns::text[]) AS needed (tables, columns)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass(tables) AND attname = columns AND NOT attisdropped
);

-- name: use_little_memory()$
-- Makes the rest of this transaction write intermediate results to the disk.
SELECT set_config('work_mem', '64kB', true);

-- name: write_to_disk()$
-- Keeps some hundred KB of rows in a temporary file, which is gone afterwards.
SELECT count(*) FROM generate_series(1, 10000);

-- name: hiding()$
-- Returns the statement that lets this role use a schema which holds runs and is hidden from it.
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relname = 'runs' AND NOT has_schema_privilege(relnamespace, 'USAGE')
LIMIT 1;

-- name: missing_grants(tables, rights, makes_tables)
-- Returns the statements that give this role its missing rights. A right on some columns is enough: whoever granted it
-- chose them. Adding a row takes numbers from the sequences of its defaults.
WITH needed AS (
    SELECT to_regclass(tables) AS relation, rights
    FROM unnest(:tables::text[], :rights::text[]) AS asked (tables, rights)
), lacking AS (
    SELECT relation, rights FROM needed
    WHERE NOT CASE WHEN rights = 'DELETE' THEN has_table_privilege(relation, rights)
                   ELSE has_any_column_privilege(relation, rights) END
)
SELECT format('GRANT %s ON %s TO %I', string_agg(rights, ', ' ORDER BY rights), relation, current_user) AS statement
FROM lacking GROUP BY relation
UNION ALL
SELECT DISTINCT format('GRANT USAGE ON SEQUENCE %s TO %I', refobjid::regclass, current_user)
FROM needed
JOIN pg_attrdef ON adrelid = relation
JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid AND refclassid = 'pg_class'::regclass
JOIN pg_class ON pg_class.oid = refobjid
WHERE rights = 'INSERT' AND CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(refobjid, 'USAGE, UPDATE') END
UNION ALL
SELECT format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), current_user)
WHERE :makes_tables::boolean AND NOT has_database_privilege(current_database(), 'TEMPORARY')
ORDER BY statement;
