-- The queries of store.py, which has the weight of a hit.

-- name: add_hits(at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms, known, id)^
-- Adds hits, unless they exist or their session is forgotten. Returns the number of added hits, and the forgotten sessions.
WITH hits AS (
    SELECT *
    FROM unnest(:id::uuid[], :at::timestamptz[], :session_id::uuid[], :page::text[], :path::text[], :method::text[],
                :status::integer[], :ip::inet[], :port::integer[], :user_agent::text[], :referrer::text[],
                :headers::jsonb[], :took_ms::real[], :known::boolean[])
         AS h (id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms, known)
), forgotten AS (
    SELECT session_id FROM visit_forgotten WHERE session_id IN (SELECT session_id FROM hits)
), added AS (
    INSERT INTO visit_hits
        (id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms, known)
    SELECT id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms, known
    FROM hits
    WHERE session_id NOT IN (SELECT session_id FROM forgotten)
    ON CONFLICT DO NOTHING
    RETURNING session_id
)
SELECT (SELECT count(*) FROM added) AS added, ARRAY(SELECT session_id FROM forgotten) AS forgotten;

-- name: last_hit(session_id)$
-- Returns the time of a session's last hit; null for an unknown session.
SELECT max(at) FROM visit_hits WHERE session_id = :session_id;

-- name: sessions(since, most, skip, ended_before)
-- Returns sessions with a hit since then, the newest hit first, and the number of all of them.
WITH found AS (
    SELECT session_id, max(at) AS last, count(*) OVER () AS total
    FROM visit_hits
    GROUP BY session_id
    HAVING :since::timestamptz IS NULL OR max(at) >= :since
    ORDER BY last DESC, session_id
    LIMIT :most OFFSET :skip
)
SELECT found.session_id, found.total, sums.first, found.last, sums.hits, sums.pages, client.ip, client.user_agent,
       found.last <= :ended_before AS ended
FROM found
CROSS JOIN LATERAL (
    SELECT min(at) AS first, count(*) AS hits, count(DISTINCT page) AS pages
    FROM visit_hits WHERE session_id = found.session_id
) AS sums
CROSS JOIN LATERAL (
    SELECT ip, user_agent FROM visit_hits WHERE session_id = found.session_id ORDER BY at DESC, id DESC LIMIT 1
) AS client
ORDER BY found.last DESC, found.session_id;

-- name: count_sessions(since)$
SELECT count(*) FROM (
    SELECT FROM visit_hits GROUP BY session_id HAVING :since::timestamptz IS NULL OR max(at) >= :since
) AS found;

-- name: session(session_id, ended_before)^
-- Returns one session; no row for an unknown one.
SELECT session_id, min(at) AS first, max(at) AS last, count(*) AS hits, count(DISTINCT page) AS pages,
       (array_agg(ip ORDER BY at DESC, id DESC))[1] AS ip,
       (array_agg(user_agent ORDER BY at DESC, id DESC))[1] AS user_agent,
       max(at) <= :ended_before AS ended
FROM visit_hits WHERE session_id = :session_id GROUP BY session_id;

-- name: hits(session_id, most)
-- Returns a session's hits in the order of time.
SELECT id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms, known
FROM visit_hits WHERE session_id = :session_id ORDER BY at, id LIMIT :most;

-- name: steps(session_id, since, ended_before, most)
-- Counts the hits that are alike: in their page, in being the first of their session, in the next page, and if there is
-- none, in the session having ended. Hits before `since` do not count.
WITH hits AS (
    SELECT page, at, lag(page) OVER w AS previous, lead(page) OVER w AS next
    FROM visit_hits
    WHERE (:session_id::uuid IS NULL OR session_id = :session_id)
      AND (:since::timestamptz IS NULL OR at >= :since)
    WINDOW w AS (PARTITION BY session_id ORDER BY at, id)
)
SELECT page, previous IS NULL AS first, next, next IS NULL AND at <= :ended_before AS ended, count(*) AS count
FROM hits
GROUP BY 1, 2, 3, 4
LIMIT :most;

-- name: steps_of_most_hit(session_id, since, ended_before, pages, others)
-- Counts the same for the `pages` most hit pages, and for all others as one page with the name `others`.
WITH chosen AS (
    SELECT at, id, session_id, page
    FROM visit_hits
    WHERE (:session_id::uuid IS NULL OR session_id = :session_id)
      AND (:since::timestamptz IS NULL OR at >= :since)
), most_hit AS (
    SELECT page FROM chosen GROUP BY page ORDER BY count(*) DESC, page LIMIT :pages
), named AS (
    SELECT at, id, session_id, CASE WHEN page IN (SELECT page FROM most_hit) THEN page ELSE :others END AS page
    FROM chosen
), hits AS (
    SELECT page, at, lag(page) OVER w AS previous, lead(page) OVER w AS next
    FROM named
    WINDOW w AS (PARTITION BY session_id ORDER BY at, id)
)
SELECT page, previous IS NULL AS first, next, next IS NULL AND at <= :ended_before AS ended, count(*) AS count
FROM hits
GROUP BY 1, 2, 3, 4;

-- name: hold_writers()#
-- Keeps others from adding hits until the transaction ends. Those who are adding some are waited for.
LOCK TABLE visit_hits IN SHARE ROW EXCLUSIVE MODE;

-- name: forget(session_id)$
-- Deletes a session's hits, keeps servers from writing more of them, and returns their number.
WITH marked AS (
    INSERT INTO visit_forgotten (session_id)
    SELECT session_id FROM visit_hits WHERE session_id = :session_id LIMIT 1
    ON CONFLICT (session_id) DO UPDATE SET at = now()
), deleted AS (
    DELETE FROM visit_hits WHERE session_id = :session_id RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: sweep(before, most)$
-- Deletes up to `most` of the hits before then, and returns their number.
WITH deleted AS (
    DELETE FROM visit_hits
    WHERE id IN (SELECT id FROM visit_hits WHERE at < :before ORDER BY at LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: sweep_oldest(excess, most)$
-- Deletes the oldest hits, up to `most` and until they are `excess` bytes, and returns their bytes.
WITH oldest AS (
    SELECT id, at, {weight} AS bytes FROM visit_hits ORDER BY at LIMIT :most
), summed AS (
    SELECT id, sum(bytes) OVER (ORDER BY at, id) - bytes AS older FROM oldest
), deleted AS (
    DELETE FROM visit_hits WHERE id IN (SELECT id FROM summed WHERE older < :excess::bigint) RETURNING {weight} AS bytes
)
SELECT coalesce(sum(bytes), 0)::bigint FROM deleted;

-- name: sweep_oldest_unknown(excess, most)$
-- Does the same with hits of unknown visitors alone.
WITH oldest AS (
    SELECT id, at, {weight} AS bytes FROM visit_hits WHERE NOT known ORDER BY at LIMIT :most
), summed AS (
    SELECT id, sum(bytes) OVER (ORDER BY at, id) - bytes AS older FROM oldest
), deleted AS (
    DELETE FROM visit_hits WHERE id IN (SELECT id FROM summed WHERE older < :excess::bigint) RETURNING {weight} AS bytes
)
SELECT coalesce(sum(bytes), 0)::bigint FROM deleted;

-- name: measure_disk(sample)^
-- Returns the disk that hits take, and estimates from a sample of about so many bytes: it is not read whole each time.
WITH part AS (
    SELECT least(1, :sample::float / greatest(pg_relation_size('visit_hits'), 1)) AS share
), weighed AS (
    SELECT sum({weight}) / avg(share) AS kept, sum({weight}) FILTER (WHERE NOT known) / avg(share) AS unknown,
           avg({weight}) AS each
    FROM visit_hits TABLESAMPLE SYSTEM (100 * least(1, :sample::float / greatest(pg_relation_size('visit_hits'), 1))), part
)
SELECT pg_total_relation_size('visit_hits') AS size, coalesce(kept, 0)::bigint AS kept,
       coalesce(unknown, 0)::bigint AS unknown,
       (pg_stat_get_dead_tuples('visit_hits'::regclass) * coalesce(each, 1000))::bigint AS dead
FROM weighed;

-- name: be_gentle()#
-- Slows down what VACUUM does on this connection, to what autovacuum takes: runs need the disk more.
SET vacuum_cost_delay = '2ms';

-- name: vacuum()#
-- Makes the room of deleted hits usable. Only a warning comes where we are not the table's owner.
VACUUM visit_hits;

-- name: sweep_forgotten(before)!
-- Deletes the marks of sessions of which no server holds hits any more.
DELETE FROM visit_forgotten WHERE at < :before;

-- name: set_in_order()#
-- Runs after an import: transitions are read from an index alone, if the visibility map is up to date.
VACUUM (ANALYZE) visit_hits;
