-- The queries of promise_pub/visits/store.py.

-- name: add_hits(ids, ats, sessions, pages, paths, methods, statuses, ips, ports, user_agents, referrers, headers, tooks)^
-- Hits of sessions that are not to be forgotten. A hit that is there already stays as it is. Gives those sessions that are.
WITH hits AS (
    SELECT *
    FROM unnest(:ids::uuid[], :ats::timestamptz[], :sessions::uuid[], :pages::text[], :paths::text[], :methods::text[],
                :statuses::integer[], :ips::inet[], :ports::integer[], :user_agents::text[], :referrers::text[],
                :headers::jsonb[], :tooks::real[])
         AS h (id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms)
), forgotten AS (
    SELECT session_id FROM visit_forgotten WHERE session_id IN (SELECT session_id FROM hits)
), added AS (
    INSERT INTO visit_hits
        (id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms)
    SELECT id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms
    FROM hits
    WHERE session_id NOT IN (SELECT session_id FROM forgotten)
    ON CONFLICT DO NOTHING
    RETURNING session_id
)
SELECT (SELECT count(*) FROM added) AS added, ARRAY(SELECT session_id FROM forgotten) AS forgotten;

-- name: last_hit(session_id)$
-- When the session was here last; null: it never was.
SELECT max(at) FROM visit_hits WHERE session_id = :session_id;

-- name: sessions(since, most, skip, ended_before)
-- Sessions with a hit since then, the newest hit first, with how many there are of them.
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
-- The same of one session; no row where nothing is known of it.
SELECT session_id, min(at) AS first, max(at) AS last, count(*) AS hits, count(DISTINCT page) AS pages,
       (array_agg(ip ORDER BY at DESC, id DESC))[1] AS ip,
       (array_agg(user_agent ORDER BY at DESC, id DESC))[1] AS user_agent,
       max(at) <= :ended_before AS ended
FROM visit_hits WHERE session_id = :session_id GROUP BY session_id;

-- name: hits(session_id, most)
-- A session's hits in the order of time.
SELECT id, at, session_id, page, path, method, status, ip, port, user_agent, referrer, headers, took_ms
FROM visit_hits WHERE session_id = :session_id ORDER BY at, id LIMIT :most;

-- name: steps(session_id, since, ended_before, most)
-- Hits that are alike, counted: what page, whether their session began with them, which page was next, and where none
-- was, whether their session has ended. The hits before `since` are as if they had not been.
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
-- The same, where pages are too many: so many of the most hit ones, and all others as one that goes by that name.
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
-- Until the transaction's end nobody adds hits: those who are at it have ended, those who come see what it did.
LOCK TABLE visit_hits IN SHARE ROW EXCLUSIVE MODE;

-- name: forget(session_id)$
-- Deletes what there is of a session, and has servers write nothing more of it. How many hits it was.
WITH marked AS (
    INSERT INTO visit_forgotten (session_id)
    SELECT session_id FROM visit_hits WHERE session_id = :session_id LIMIT 1
    ON CONFLICT (session_id) DO UPDATE SET at = now()
), deleted AS (
    DELETE FROM visit_hits WHERE session_id = :session_id RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: sweep(before, most)$
-- Deletes so many of the hits from before then, at most; how many it was.
WITH deleted AS (
    DELETE FROM visit_hits
    WHERE id IN (SELECT id FROM visit_hits WHERE at < :before ORDER BY at LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: sweep_forgotten(before)!
-- No server holds anything of these any more.
DELETE FROM visit_forgotten WHERE at < :before;

-- name: set_in_order()#
-- After many hits at once: what the chains are read from is all visible, and counted.
VACUUM (ANALYZE) visit_hits;
