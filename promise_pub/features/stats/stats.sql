-- The queries of store.py and registry.py.

-- name: watch_client()^
-- Lets the server notice within two minutes that this session's client is gone without a word, with the locks it holds.
SELECT set_config('tcp_keepalives_idle', '60', false), set_config('tcp_keepalives_interval', '10', false),
       set_config('tcp_keepalives_count', '6', false);

-- name: try_keeping()$
-- True when nobody else counts; nobody does as long as this connection lasts. A lock of two keys, as the turn of runs is.
SELECT pg_try_advisory_lock(hashtext('promise-pub'), hashtext('counting'));

-- name: bound_waits(lock, idle)^
-- Bounds, in milliseconds, how long the rest of this transaction waits for a lock, and how long it may hold one while its
-- client says nothing. Statements are planned anew: a plan that was made for an empty table would read all of it later.
SELECT set_config('lock_timeout', :lock::text, true), set_config('idle_in_transaction_session_timeout', :idle::text, true),
       set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: registered()
-- Returns every version of every statistic.
SELECT id, name, version, layout, counted_from, position, carried_until, carried_position, shown, state, trouble, left_out
FROM stats_statistics ORDER BY name, version;

-- name: register(name, version, layout, counted_from, position, carried_until, carried_position, shown)$
-- Adds a version, and returns its id; nothing where there is one like it.
INSERT INTO stats_statistics (name, version, layout, counted_from, position, carried_until, carried_position, shown)
VALUES (:name, :version, :layout, :counted_from, :position, :carried_until, :carried_position, :shown)
ON CONFLICT DO NOTHING RETURNING id;

-- name: hold(id)$
-- Keeps others from counting a version until the transaction ends, and returns its position.
SELECT position FROM stats_statistics WHERE id = :id FOR UPDATE;

-- name: carry_cells(older, newer, width, until)!
-- Copies the windows of a width that start before then.
INSERT INTO stats_cells (statistic, width, start, key, bucket, count, total, most)
SELECT :newer::integer, width, start, key, bucket, count, total, most FROM stats_cells
WHERE statistic = :older AND width = :width AND start < :until ORDER BY start, key, bucket;

-- name: carry_sketches(older, newer, width, until)!
INSERT INTO stats_distinct (statistic, width, start, key, sketch)
SELECT :newer::integer, width, start, key, sketch FROM stats_distinct
WHERE statistic = :older AND width = :width AND start < :until ORDER BY start, key;

-- name: carry_entries(older, newer)!
INSERT INTO stats_latest (statistic, key, at, seq, value)
SELECT :newer::integer, key, at, seq, value FROM stats_latest WHERE statistic = :older ORDER BY key;

-- name: carry_gaps(older, newer, position)!
INSERT INTO stats_gaps (statistic, after, up_to, why)
SELECT :newer::integer, after, least(up_to, :position::bigint), why FROM stats_gaps WHERE statistic = :older AND after < :position;

-- name: set_state(id, state, trouble, layout)!
UPDATE stats_statistics SET state = :state, trouble = :trouble, layout = :layout WHERE id = :id;

-- name: hide_shown(name)!
-- Takes the version that readers see away from them.
UPDATE stats_statistics SET shown = false, state = 'absent' WHERE name = :name AND shown;

-- name: show(id)!
UPDATE stats_statistics SET shown = true WHERE id = :id;

-- name: hide_all(name)
-- Takes every version of a statistic away from readers and counters, and returns their ids.
UPDATE stats_statistics SET shown = false, state = 'absent' WHERE name = :name RETURNING id;

-- name: uncounted(name)
-- Returns the ids of versions that readers do not see: those that are counted anew, and what a rebuild left behind.
SELECT id FROM stats_statistics WHERE name = :name AND NOT shown AND (state <> 'absent' OR version = 0);

-- name: make_older(name)$
-- Makes the version that readers see one that any installed version replaces, and returns its id.
UPDATE stats_statistics SET version = 0 WHERE name = :name AND shown RETURNING id;

-- name: delete_cells(id, most)$
-- Deletes `most` rows of a version at most, and returns how many these were.
WITH gone AS (
    DELETE FROM stats_cells WHERE ctid = ANY(ARRAY(SELECT ctid FROM stats_cells WHERE statistic = :id LIMIT :most)) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: delete_sketches(id, most)$
WITH gone AS (
    DELETE FROM stats_distinct WHERE ctid = ANY(ARRAY(SELECT ctid FROM stats_distinct WHERE statistic = :id LIMIT :most)) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: delete_entries(id, most)$
WITH gone AS (
    DELETE FROM stats_latest WHERE ctid = ANY(ARRAY(SELECT ctid FROM stats_latest WHERE statistic = :id LIMIT :most)) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: delete_left_out(id)!
DELETE FROM stats_left_out WHERE statistic = :id;

-- name: delete_gaps(id)!
DELETE FROM stats_gaps WHERE statistic = :id;

-- name: delete_version(id)!
DELETE FROM stats_statistics WHERE id = :id;

-- name: sweep_cells(statistics, widths, befores, most)$
-- Deletes windows of versions and widths that start before a moment, `most` rows at most, and returns how many these were.
WITH gone AS (
    DELETE FROM stats_cells WHERE ctid = ANY(ARRAY(
        SELECT old.ctid FROM unnest(:statistics::integer[], :widths::integer[], :befores::timestamptz[]) AS w (id, width, before),
        LATERAL (SELECT ctid FROM stats_cells AS c
                 WHERE c.statistic = w.id AND c.width = w.width AND c.start < w.before LIMIT :most) AS old
        LIMIT :most)) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: sweep_sketches(statistics, widths, befores, most)$
WITH gone AS (
    DELETE FROM stats_distinct WHERE ctid = ANY(ARRAY(
        SELECT old.ctid FROM unnest(:statistics::integer[], :widths::integer[], :befores::timestamptz[]) AS w (id, width, before),
        LATERAL (SELECT ctid FROM stats_distinct AS d
                 WHERE d.statistic = w.id AND d.width = w.width AND d.start < w.before LIMIT :most) AS old
        LIMIT :most)) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: skip(id, position, up_to)$
-- Moves the position of a version over events that are not counted. What has counted none yet begins after them.
UPDATE stats_statistics
SET position = :up_to::bigint, counted_from = CASE WHEN position = counted_from - 1 THEN :up_to::bigint + 1 ELSE counted_from END
WHERE id = :id AND position = :position AND state = 'going' RETURNING counted_from <= :position;

-- name: add_gaps(statistics, afters, up_tos, whys)!
INSERT INTO stats_gaps (statistic, after, up_to, why)
SELECT * FROM unnest(:statistics::integer[], :afters::bigint[], :up_tos::bigint[], :whys::text[])
ON CONFLICT DO NOTHING;

-- name: move(ids, after, up_to, left_outs)
-- Moves the position of versions that have this one and are counted, and returns their ids, and how many events each had
-- left out before.
UPDATE stats_statistics AS one SET position = :up_to, left_out = one.left_out + more.left_out
FROM unnest(:ids::integer[], :left_outs::bigint[]) AS more (id, left_out)
WHERE one.id = more.id AND position = :after AND state = 'going' AND version > 0
RETURNING one.id, one.left_out - more.left_out AS before;

-- name: window_keys(statistics, widths, starts, origin)
-- Returns the keys that windows have. Entries share one window, that of all time.
WITH given AS (
    SELECT * FROM unnest(:statistics::integer[], :widths::integer[], :starts::timestamptz[]) AS w (statistic, width, start)
)
SELECT given.*, found.key FROM given, LATERAL (
    SELECT DISTINCT key FROM stats_cells AS c
    WHERE c.statistic = given.statistic AND c.width = given.width AND c.start = given.start) AS found
UNION ALL
SELECT given.*, found.key FROM given, LATERAL (
    SELECT key FROM stats_distinct AS d
    WHERE d.statistic = given.statistic AND d.width = given.width AND d.start = given.start) AS found
UNION ALL
SELECT given.*, l.key FROM given JOIN stats_latest AS l ON l.statistic = given.statistic
WHERE given.width = 0 AND given.start = :origin::timestamptz;

-- name: add_cells(statistics, widths, starts, keys, buckets, counts, totals, mosts)!
INSERT INTO stats_cells AS c (statistic, width, start, key, bucket, count, total, most)
SELECT * FROM unnest(:statistics::integer[], :widths::integer[], :starts::timestamptz[], :keys::text[],
                     :buckets::integer[], :counts::bigint[], :totals::bigint[], :mosts::bigint[])
ON CONFLICT (statistic, width, start, key, bucket) DO UPDATE
SET count = c.count + excluded.count, total = c.total + excluded.total, most = greatest(c.most, excluded.most);

-- name: add_entries(statistics, keys, ats, seqs, values)!
INSERT INTO stats_latest AS l (statistic, key, at, seq, value)
SELECT statistic, key, at, seq, value::jsonb
FROM unnest(:statistics::integer[], :keys::text[], :ats::timestamptz[], :seqs::bigint[], :values::text[])
     AS given (statistic, key, at, seq, value)
ON CONFLICT (statistic, key) DO UPDATE SET at = excluded.at, seq = excluded.seq, value = excluded.value
WHERE (excluded.at, excluded.seq) >= (l.at, l.seq);

-- name: sketches(statistics, widths, starts, keys)
-- Returns the sketches that are there, and keeps others from changing them.
SELECT statistic, width, start, key, sketch FROM stats_distinct
WHERE (statistic, width, start, key) IN (
    SELECT * FROM unnest(:statistics::integer[], :widths::integer[], :starts::timestamptz[], :keys::text[]))
FOR UPDATE;

-- name: put_sketches(statistics, widths, starts, keys, sketches)!
INSERT INTO stats_distinct (statistic, width, start, key, sketch)
SELECT * FROM unnest(:statistics::integer[], :widths::integer[], :starts::timestamptz[], :keys::text[], :sketches::bytea[])
ON CONFLICT (statistic, width, start, key) DO UPDATE SET sketch = excluded.sketch;

-- name: add_left_out(statistics, seqs, errors)!
INSERT INTO stats_left_out (statistic, seq, error)
SELECT * FROM unnest(:statistics::integer[], :seqs::bigint[], :errors::text[]) ON CONFLICT DO NOTHING;
