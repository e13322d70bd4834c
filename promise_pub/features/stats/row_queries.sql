-- Statistics as they are read, for row_queries.py, which fills in {direction}, {page} and {key} from its own lists.
-- A span is that of windows by their start. :one to :four are values of a key's columns, null for any.

-- name: prepare_reading()^
-- Has the statements of this transaction planned for their values, and buckets of many windows grouped in memory: one
-- answer for operators and one for others is made at a time.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '32MB', true);

-- name: versions(name)
-- Returns all versions of the statistics, or of the one with this name, each with the number of its gaps.
SELECT id, name, version, layout, counted_from, position, carried_until, carried_position, shown, state, trouble, left_out,
       (SELECT count(*) FROM stats_gaps WHERE statistic = id) AS gaps
FROM stats_statistics WHERE :name::text IS NULL OR name = :name
ORDER BY name, version;

-- name: left_out(statistic, most)
SELECT statistic, seq, error FROM stats_left_out WHERE statistic = :statistic ORDER BY seq LIMIT :most;

-- name: gaps(statistic, most)
SELECT after, up_to, why FROM stats_gaps WHERE statistic = :statistic ORDER BY after DESC LIMIT :most;

-- name: oldest(statistic, widths)
-- Returns the start of the first window of each width.
SELECT width, start
FROM unnest(:widths::integer[]) AS w (width),
     LATERAL (SELECT start FROM {table} WHERE statistic = :statistic AND {table}.width = w.width ORDER BY start LIMIT 1) AS first;

-- name: sparks(statistics, widths, sinces)
-- Returns the sum of each window of a width since a moment, for each statistic.
SELECT statistic, start, sum(count)::bigint AS count
FROM unnest(:statistics::integer[], :widths::integer[], :sinces::timestamptz[]) AS asked (statistic, width, since)
JOIN stats_cells USING (statistic, width)
WHERE start >= since
GROUP BY statistic, start ORDER BY statistic, start;

-- name: count_counts(statistic, width, since, until, one, two, three, four)$
SELECT count(*) FROM stats_cells WHERE {span};

-- name: page_of_counts(statistic, width, since, until, one, two, three, four, limit, skip)
SELECT start AS at, key, count FROM stats_cells WHERE {span}
ORDER BY start {direction}, key {direction} LIMIT :limit OFFSET :skip;

-- name: count_measures(statistic, width, since, until, one, two, three, four)$
SELECT count(*) FROM (SELECT FROM stats_cells WHERE {span} GROUP BY start, key) AS rows;

-- name: page_of_measures(statistic, width, since, until, one, two, three, four, limit, skip)
-- A percentile is the first bucket up to which there are so many values.
WITH page AS (
    SELECT start, key FROM stats_cells WHERE {span}
    GROUP BY start, key ORDER BY start {direction}, key {direction} LIMIT :limit OFFSET :skip
)
SELECT page.start AS at, page.key, measured.*
FROM page, LATERAL (
    SELECT {measures}
    FROM (
        SELECT bucket, count, total, most, sum(count) OVER (ORDER BY bucket) AS up_to, sum(count) OVER () AS number
        FROM stats_cells AS cells
        WHERE statistic = :statistic AND width = :width AND cells.start = page.start AND cells.key = page.key
    ) AS ranked
) AS measured
ORDER BY page.start {direction}, page.key {direction};

-- name: count_members(statistic, width, since, until, one, two, three, four)$
SELECT count(*) FROM stats_distinct WHERE {span};

-- name: page_of_members(statistic, width, since, until, one, two, three, four, limit, skip)
SELECT start AS at, key, sketch FROM stats_distinct WHERE {span}
ORDER BY start {direction}, key {direction} LIMIT :limit OFFSET :skip;

-- name: count_entries(statistic, width, since, until, one, two, three, four)$
SELECT count(*) FROM stats_latest WHERE {entries};

-- name: page_of_entries(statistic, width, since, until, one, two, three, four, limit, skip)
SELECT at, key, value::text AS value FROM stats_latest WHERE {entries}
ORDER BY at {direction}, key {direction} LIMIT :limit OFFSET :skip;

-- name: top_keys(statistic, width, since, until, one, two, three, four, others, top)
-- Returns the keys with the greatest counts.
SELECT key FROM stats_cells WHERE {span} AND key <> :others
GROUP BY key ORDER BY sum(count) DESC, key LIMIT :top;

-- name: whole_counts(statistic, width, since, until, one, two, three, four, kept, others, limit)
SELECT start AS at, {key} AS key, sum(count)::bigint AS count FROM stats_cells WHERE {span}
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :limit;

-- name: whole_measures(statistic, width, since, until, one, two, three, four, kept, others, limit)
WITH merged AS (
    SELECT start, {key} AS key, bucket, sum(count) AS count, sum(total) AS total, max(most) AS most
    FROM stats_cells WHERE {span} GROUP BY 1, 2, 3
), ranked AS (
    SELECT *, sum(count) OVER (PARTITION BY start, key ORDER BY bucket) AS up_to,
           sum(count) OVER (PARTITION BY start, key) AS number
    FROM merged
)
SELECT start AS at, key, {measures} FROM ranked GROUP BY start, key ORDER BY start, key LIMIT :limit;
